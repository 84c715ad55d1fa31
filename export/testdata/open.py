"""Loads adapter directories with the libraries whose format they have, and compares logits with the reference's.
usage: open.py LIST.json, a list of {"dir", "model", "case", "batch"}: an adapter's directory, a base model's, and two
safetensors files: one with the tensor logits, one with the inputs."""
import json
import os
import sys

import torch
import transformers
from safetensors.torch import load_file

TOLERANCE = 2e-5  # of the largest logit, as in Carillon's own tests


def base(model):
    with open(os.path.join(model, "config.json")) as f:
        cls = getattr(transformers, json.load(f)["architectures"][0])
    return cls.from_pretrained(model, attn_implementation="eager", dtype=torch.float32).eval()


def adapted(directory, model):
    with open(os.path.join(directory, "adapter_config.json")) as f:
        of_peft = "peft_type" in json.load(f)
    if of_peft:
        import peft
        return peft.PeftModel.from_pretrained(base(model), directory).eval()
    import adapters
    m = base(model)
    adapters.init(m)
    m.load_adapter(directory, use_safetensors=True, set_active=True)
    return m.eval()


def distance(row):
    want, batch = load_file(row["case"])["logits"], load_file(row["batch"])
    inputs = {k.removeprefix("input/"): v.long() for k, v in batch.items() if k.startswith("input/") and k != "input/labels"}
    with torch.no_grad():
        got = adapted(row["dir"], row["model"])(**inputs).logits
    if got.shape != want.shape:
        return f"logits of shape {list(got.shape)}, want {list(want.shape)}"
    if got.dim() == 3 and "decoder_input_ids" not in inputs:  # the reference has zeros at padding
        mask = inputs["attention_mask"]
        lead = got.shape[1] - mask.shape[1]
        mask = torch.cat([torch.ones(len(mask), lead), mask], 1)
        got = got * mask.unsqueeze(-1)
    return float((got - want).abs().max() / want.abs().max())


def main():
    with open(sys.argv[1]) as f:
        rows = json.load(f)
    bad = 0
    for row in rows:
        try:
            d = distance(row)
        except Exception as e:  # the library's own refusal is the result
            d = f"{type(e).__name__}: {e}"
        ok = isinstance(d, float) and d <= TOLERANCE
        bad += not ok
        print("ok  " if ok else "BAD ", row["dir"], d, flush=True)
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
