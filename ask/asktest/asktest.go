// Package asktest makes tiny models to ask: whole Hugging Face and PEFT directories
// with random weights, in a few milliseconds.
package asktest

import (
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"carillon/backend"
	"carillon/export"
	"carillon/job"
	"carillon/model"
	"carillon/safetensors"
	"carillon/tokenizer"
)

// Vocab is the vocabulary of the model that Base makes.
const Vocab = 260

// config is the smallest that has everything.
const config = `{"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 260, "n_embd": 16, "n_head": 2,
"n_layer": 1, "n_positions": 64, "n_inner": null, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-05,
"initializer_range": 0.02, "tie_word_embeddings": true, "bos_token_id": 259, "eos_token_id": 259}`

// T5 is the smallest with an encoder and a decoder.
const T5 = `{"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "vocab_size": 260, "d_model": 16, "d_kv": 8, "d_ff": 24,
"num_heads": 2, "num_layers": 1, "num_decoder_layers": 1, "is_encoder_decoder": true, "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 259,
"initializer_factor": 1.0, "layer_norm_epsilon": 1e-06, "relative_attention_num_buckets": 8, "relative_attention_max_distance": 16, "feed_forward_proj": "relu"}`

// Base makes dir a GPT-2 of a few thousand parameters with a tokenizer.
func Base(be *backend.Backend, dir string) error { return BaseBy(be, dir, 1) }

// BaseBy is Base with random weights by another seed.
func BaseBy(be *backend.Backend, dir string, seed uint64) error {
	return create(be, dir, config, Vocab, seed)
}

// Make makes dir the model that a config.json describes, with random weights and
// a tokenizer of vocab tokens.
func Make(be *backend.Backend, dir, config string, vocab int) error {
	return create(be, dir, config, vocab, 1)
}

func create(be *backend.Backend, dir, config string, vocab int, seed uint64) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o644); err != nil {
		return err
	}
	tok, err := tokenizer.TrainBPE(text(), vocab, []string{"<|endoftext|>"})
	if err != nil {
		return err
	}
	if err := tok.Write(dir); err != nil {
		return err
	}
	return weights(be, dir, seed)
}

func text() iter.Seq[string] {
	return slices.Values([]string{strings.Repeat("the bell rings in the morning and the thing is rung again\n", 4)})
}

// weights writes the random weights that a recipe with reinit_weights starts from.
func weights(be *backend.Backend, dir string, seed uint64) error {
	tensors, err := tensorsOf(be, dir, model.Options{ReinitWeights: true, Seed: seed}, job.Spec{Method: "full", Seed: seed})
	if err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, safetensors.SingleFile))
	if err != nil {
		return err
	}
	defer f.Close()
	return safetensors.Write(f, safetensors.F32, tensors)
}

// Adapter makes dir a LoRA adapter of the model in base that changes what it says.
func Adapter(be *backend.Backend, base, dir string) error { return AdapterBy(be, base, dir, 1) }

// AdapterBy is Adapter with a change so many times as large.
func AdapterBy(be *backend.Backend, base, dir string, times float32) error {
	spec := job.Spec{Method: "lora", Seed: 2, LoRA: &job.LoRA{R: 2, LoraAlpha: 64, TargetModules: []string{"c_attn", "c_fc"}, Bias: "none"}}
	tensors, err := tensorsOf(be, base, model.Options{}, spec)
	if err != nil {
		return err
	}
	for _, t := range tensors {
		if strings.HasSuffix(t.Name, "lora_B.weight") { // zero so far
			for i := range t.Data {
				t.Data[i] = times * float32(i%5-2) / 4
			}
		}
	}
	_, err = export.Adapter(dir, export.AdapterInfo{Base: base, Spec: spec, FanInFanOut: true}, tensors)
	return err
}

// Untrained makes dir an adapter of the model in base as a spec's method begins.
func Untrained(be *backend.Backend, base, dir string, spec job.Spec) error {
	tensors, err := tensorsOf(be, base, model.Options{}, spec)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(base, "config.json"))
	if err != nil {
		return err
	}
	info := export.AdapterInfo{Base: base, Spec: spec, FanInFanOut: true}
	if err := json.Unmarshal(data, &info.Model); err != nil {
		return err
	}
	_, err = export.Adapter(dir, info, tensors)
	return err
}

// Classifier makes dir what a spec's method (lora or full) trains in the model in
// base for its task, before the first step, with a head of zeros: it takes every
// text for class 0, or for the number 0.
func Classifier(be *backend.Backend, base, dir string, spec job.Spec) error {
	tensors, err := tensorsOf(be, base, model.Options{}, spec)
	if err != nil {
		return err
	}
	for _, t := range tensors {
		if strings.HasSuffix(t.Name, "score.weight") {
			clear(t.Data)
		}
	}
	if spec.Method == "full" {
		_, err = export.Full(dir, base, spec, tensors)
	} else {
		_, err = export.Adapter(dir, export.AdapterInfo{Base: base, Spec: spec, FanInFanOut: true}, tensors)
	}
	return err
}

// tensorsOf returns what a method trains in a model, as it is before the first step.
func tensorsOf(be *backend.Backend, dir string, opts model.Options, spec job.Spec) ([]safetensors.Tensor, error) {
	m, err := model.Load(be, dir, opts)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	s, err := m.Train(spec)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	defer s.Close()
	flat := s.Initial()
	var tensors []safetensors.Tensor
	for _, p := range s.Params() {
		n := safetensors.Info{Shape: p.Shape}.Size()
		tensors = append(tensors, safetensors.Tensor{Name: p.Name, Shape: p.Shape, Data: flat[p.Offset:][:n]})
	}
	return tensors, nil
}
