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
	lora("gpt2-cls", "lora", on("c_attn")).onXLA(),
}
