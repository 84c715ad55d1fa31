package main

import (
	"fmt"

	"carillon/job"
	"carillon/model"
)

// A shape is a model that methods are measured on. bench/methods.py knows it by its name.
type shape struct {
	name, title          string
	rows, length, target int // of a batch; target: of a decoder's rows
	lora                 []string
}

var shapes = []shape{
	{"gpt2", "GPT-2 small", 4, 128, 0, []string{"c_attn"}},
	{"bert", "BERT base", 8, 128, 0, []string{"query", "value"}},
	{"t5", "T5 small", 8, 128, 32, []string{"q", "v"}},
}

// methodNames are the methods that are measured, by a recipe's words.
var methodNames = []string{"full", "lora", "adapter", "prompt", "prefix", "ia3", "feature"}

// spec is the job of a method; sizes are those of bench/methods.py.
func (s shape) spec(method string) job.Spec {
	return job.Spec{
		Method: method, Seed: 1,
		LoRA:       &job.LoRA{R: 8, LoraAlpha: 16, TargetModules: s.lora},
		Bottleneck: &job.Bottleneck{Architecture: "seq_bn"},
		Prompt:     &job.Prompt{NumVirtualTokens: 20, PromptTuningInit: "random"},
		Prefix:     &job.Prefix{NumVirtualTokens: 20, PrefixInit: "random"},
		IA3:        &job.IA3{},
	}
}

// input is the batch of bench/methods.py.
func (s shape) input() model.Input {
	in := model.Input{Rows: s.rows, Len: s.length, Tokens: numbers(s.rows*s.length, 13), Mask: make([]int32, s.rows*s.length)}
	for i := range in.Mask {
		in.Mask[i] = 1
	}
	switch {
	case s.target > 0:
		in.TargetLen, in.Targets = s.target, numbers(s.rows*s.target, 17)
		in.DecoderTokens = behindStart(in.Targets, s.target)
	case s.name == "bert":
		for i := range s.rows {
			in.Targets = append(in.Targets, int32(i%2))
		}
	default:
		in.Labels = in.Tokens
	}
	return in
}

// numbers returns n ids, of which the i-th is 1 + (first + 7919·i) mod 30000.
func numbers(n, first int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(1 + (first+7919*i)%30000)
	}
	return ids
}

// behindStart moves each row by one, behind T5's start token.
func behindStart(targets []int32, length int) []int32 {
	tokens := make([]int32, len(targets))
	for i := range tokens {
		if i%length > 0 {
			tokens[i] = targets[i-1]
		}
	}
	return tokens
}

// asked is how many terms the loss of a batch is a sum of; PyTorch's is their mean.
func (s shape) asked() float64 {
	switch {
	case s.target > 0:
		return float64(s.rows * s.target)
	case s.name == "bert":
		return float64(s.rows)
	}
	return float64(s.rows * (s.length - 1))
}

// shapeOf finds a shape by its name.
func shapeOf(name string) (shape, error) {
	for _, s := range shapes {
		if s.name == name {
			return s, nil
		}
	}
	return shape{}, fmt.Errorf("there is no shape %q", name)
}
