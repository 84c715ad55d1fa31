#!/usr/bin/env python3
"""Takes steps of a fine-tuning method in PyTorch, one for each line that comes.

    pip install torch transformers==4.57.6 peft==0.21.2 adapters
    python3 bench/methods.py write SHAPE DIR          writes a model with random weights
    python3 bench/methods.py step SHAPE METHOD DIR    takes steps of it

make bench runs it beside our own steps (systest/bench/methods.go), with the same weights
and tokens, and compares. A step is a forward and a backward pass; of feature-based tuning,
which trains nothing of the model, a forward pass. The first line that comes out says what
there is, each further one what a step took, the last one how much memory the process had.
"""
import json
import os
import resource
import sys
import time

import torch
import transformers
from transformers import BertConfig, BertForSequenceClassification, GPT2Config, GPT2LMHeadModel, T5Config, T5ForConditionalGeneration

# The shapes of gpt2, bert-base-uncased and t5-small are what transformers begins with.
SHAPES = {
    "gpt2": (GPT2LMHeadModel, lambda: GPT2Config(resid_pdrop=0, embd_pdrop=0, attn_pdrop=0)),
    "bert": (BertForSequenceClassification, lambda: BertConfig(hidden_dropout_prob=0, attention_probs_dropout_prob=0, num_labels=2)),
    "t5": (T5ForConditionalGeneration, lambda: T5Config(dropout_rate=0, decoder_start_token_id=0)),
}
TASKS = {"gpt2": "CAUSAL_LM", "bert": "SEQ_CLS", "t5": "SEQ_2_SEQ_LM"}
TARGETS = {"gpt2": ["c_attn"], "bert": ["query", "value"], "t5": ["q", "v"]}
R, ALPHA, VIRTUAL = 8, 16, 20


def main():
    if sys.argv[1] == "write":
        return write(*sys.argv[2:])
    shape, method, directory, rows, length, target = *sys.argv[2:5], *map(int, sys.argv[5:8])
    torch.set_num_threads(os.cpu_count())
    step = stepper(shape, method, SHAPES[shape][0].from_pretrained(directory), batch(shape, rows, length, target))
    say(**step())
    for _ in sys.stdin:
        start, used = time.perf_counter(), time.process_time()
        step()
        say(seconds=time.perf_counter() - start, cpu=time.process_time() - used)
    say(peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def write(shape, directory):
    torch.manual_seed(0)
    model, config = SHAPES[shape]
    model(config()).save_pretrained(directory)


def say(**values):
    print(json.dumps(values), flush=True)


def numbers(rows, length, first):
    """The ids that both sides take: the i-th is 1 + (first + 7919·i) mod 30000."""
    return (1 + (first + 7919 * torch.arange(rows * length)) % 30000).reshape(rows, length)


def batch(shape, rows, length, target):
    ids = numbers(rows, length, 13)
    labels = {"gpt2": ids, "bert": torch.arange(rows) % 2, "t5": numbers(rows, target, 17) if target else None}[shape]
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


def stepper(shape, method, model, inputs):
    if method == "feature":
        return encoder(shape, model, inputs)
    model = adapted(shape, method, model)
    model.train()
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)

    def step():
        model.zero_grad(set_to_none=True)
        loss = model(**inputs).loss
        loss.backward()
        return {"loss": loss.item(), "trained": trained, "versions": versions()}
    return step


def encoder(shape, model, inputs):
    """What a classifier is trained on: the mean of the states of a text's tokens."""
    model.eval()
    base = {"gpt2": lambda: model.transformer, "bert": lambda: model.bert, "t5": lambda: model.encoder}[shape]()
    inputs = {k: v for k, v in inputs.items() if k != "labels"}

    def step():
        with torch.inference_mode():
            x = base(**inputs).last_hidden_state.mean(1)
        return {"loss": x.abs().mean().item(), "trained": 0, "versions": versions()}
    return step


def adapted(shape, method, model):
    """The model with a method in it."""
    if method != "prefix":
        model.config.use_cache = False
    if method == "full":
        return model
    if method == "adapter":
        import adapters
        adapters.init(model)
        model.add_adapter("a", config="seq_bn")
        model.train_adapter("a")
        return model
    import peft
    config = {
        "lora": lambda: peft.LoraConfig(task_type=TASKS[shape], r=R, lora_alpha=ALPHA, target_modules=TARGETS[shape], fan_in_fan_out=shape == "gpt2"),
        "prompt": lambda: peft.PromptTuningConfig(task_type=TASKS[shape], num_virtual_tokens=VIRTUAL),
        "prefix": lambda: peft.PrefixTuningConfig(task_type=TASKS[shape], num_virtual_tokens=VIRTUAL),
        "ia3": lambda: peft.IA3Config(task_type=TASKS[shape]),
    }[method]()
    return peft.get_peft_model(model, config)


def versions():
    return f"torch {torch.__version__}, transformers {transformers.__version__}"


if __name__ == "__main__":
    main()
