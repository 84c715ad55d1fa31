package model

import (
	"slices"

	"carillon/job"
)

// lora is a case of method lora with r 4 and lora_alpha 8.
func lora(model, name string, change job.LoRA) refCase {
	l := change
	l.R, l.LoraAlpha = 4, 8
	return refCase{model, name, job.Spec{Method: "lora", LoRA: &l}, false, ""}
}

// on targets modules.
func on(modules ...string) job.LoRA { return job.LoRA{TargetModules: modules} }

func ia3(model string, targets, feedForward []string) refCase {
	return refCase{model, "ia3", job.Spec{Method: "ia3", IA3: &job.IA3{TargetModules: targets, FeedforwardModules: feedForward}}, false, ""}
}

func bitfit(model string) refCase {
	return refCase{model, "bitfit", job.Spec{Method: "bitfit"}, false, ""}
}

var loraCases = slices.Concat([]refCase{
	lora("gpt2", "lora", on("c_attn")), lora("gpt2", "lora-all-linear", on("all-linear")),
	lora("gpt2", "lora-bias", job.LoRA{TargetModules: []string{"c_attn"}, Bias: "lora_only"}),
	lora("gpt2", "lora-bias-all", job.LoRA{TargetModules: []string{"c_attn"}, Bias: "all"}),
	lora("gpt2", "dora", job.LoRA{TargetModules: []string{"c_attn", "c_proj"}, UseDoRA: true}),
	lora("gpt2-cls", "lora", on("c_attn")).onXLA(),
	ia3("gpt2", []string{"c_attn", "mlp.c_proj"}, []string{"mlp.c_proj"}), bitfit("gpt2"),
	lora("bert-cls", "lora", on("query", "value")), bitfit("bert-cls"),
	lora("roberta-cls", "lora", on("query", "value")), lora("distilbert-cls", "lora", on("q_lin", "v_lin")),
	lora("t5", "lora", on("q", "v")), ia3("t5", []string{"k", "v", "wo"}, []string{"wo"}),
	lora("t5-v1_1", "lora-all-linear", on("all-linear")),
}, llamaLoRA)

var llamaLoRA = []refCase{
	lora("llama", "lora", on("q_proj", "v_proj")), lora("llama", "lora-all-linear", on("all-linear")),
	lora("llama", "lora-embed", on("embed_tokens", "q_proj")),
	lora("llama", "lora-layers", job.LoRA{TargetModules: []string{"q_proj", "v_proj"}, LayersToTransform: []int{1}}),
	lora("llama", "lora-pattern", job.LoRA{
		TargetModules: []string{"down_proj", "q_proj", "v_proj"},
		RankPattern:   map[string]int{"down_proj": 2, "layers.1.self_attn.q_proj": 6},
		AlphaPattern:  map[string]float64{"down_proj": 16, "^model.layers.0.self_attn.v_proj": 3},
	}),
	lora("llama", "lora-rslora", job.LoRA{TargetModules: []string{"q_proj", "v_proj"}, UseRSLoRA: true}),
	lora("llama", "lora-save-head", job.LoRA{TargetModules: []string{"q_proj", "v_proj"}, ModulesToSave: []string{"lm_head"}}),
	lora("llama", "dora", job.LoRA{TargetModules: []string{"down_proj", "q_proj", "v_proj"}, UseDoRA: true}),
	lora("llama3", "lora", on("q_proj", "v_proj")), lora("mistral", "lora", on("q_proj", "v_proj")),
	lora("qwen2", "lora", on("q_proj", "v_proj")), lora("qwen3", "lora-all-linear", on("all-linear")),
}
