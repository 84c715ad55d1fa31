package model

import "carillon/job"

// lora is a case of method lora with r 4 and lora_alpha 8.
func lora(model, name string, change job.LoRA) refCase {
	l := change
	l.R, l.LoraAlpha = 4, 8
	return refCase{model, name, job.Spec{Method: "lora", LoRA: &l}, false, ""}
}

// on targets modules.
func on(modules ...string) job.LoRA { return job.LoRA{TargetModules: modules} }

var loraCases = []refCase{
	lora("gpt2", "lora", on("c_attn")), lora("gpt2", "lora-all-linear", on("all-linear")),
	lora("gpt2", "lora-bias", job.LoRA{TargetModules: []string{"c_attn"}, Bias: "lora_only"}),
	lora("gpt2", "lora-bias-all", job.LoRA{TargetModules: []string{"c_attn"}, Bias: "all"}),
	lora("gpt2", "dora", job.LoRA{TargetModules: []string{"c_attn", "c_proj"}, UseDoRA: true}),
	lora("gpt2-cls", "lora", on("c_attn")).onXLA(),
	ia3("gpt2", []string{"c_attn", "mlp.c_proj"}, []string{"mlp.c_proj"}),
	bitfit("gpt2"),
}

func ia3(model string, targets, feedForward []string) refCase {
	return refCase{model, "ia3", job.Spec{Method: "ia3", IA3: &job.IA3{TargetModules: targets, FeedforwardModules: feedForward}}, false, ""}
}

func bitfit(model string) refCase {
	return refCase{model, "bitfit", job.Spec{Method: "bitfit"}, false, ""}
}
