package model

import "slices"

// llamaCases are the models of package llama as they are: in float32, and two in the
// halves that most files are in.
var llamaCases = slices.Concat([]refCase{
	full("llama", "base").onXLA(), full("llama", "full"), full("llama-bf16", "base"), full("llama-f16", "base"),
	full("llama3", "base"), full("mistral", "base"), full("qwen2", "base"), full("qwen3", "base"),
}, lefts("llama", "llama3", "mistral", "qwen2", "qwen3"))

// lefts are the same batches padded on the left.
func lefts(models ...string) (cases []refCase) {
	for _, m := range models {
		cases = append(cases, full(m, "base-left"))
	}
	return cases
}
