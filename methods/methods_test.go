package methods

import (
	"math"
	"strings"
	"testing"

	"carillon/job"
)

func TestSpecsAreRefusedByKey(t *testing.T) {
	good := job.LoRA{R: 8, LoraAlpha: 16, LoraDropout: 0.05, TargetModules: []string{"c_attn"}, Bias: "none"}
	change := func(f func(*job.LoRA)) *job.LoRA {
		l := good
		f(&l)
		return &l
	}
	for _, tt := range []struct {
		name, method string
		lora         *job.LoRA
		want         string // in the error; "" for none
	}{
		{"full", "full", nil, ""},
		{"lora", "lora", &good, ""},
		{"unknown", "lore", nil, `"lore"`},
		{"no section", "lora", nil, "section lora"},
		{"rank", "lora", change(func(l *job.LoRA) { l.R = 0 }), "lora.r"},
		{"alpha", "lora", change(func(l *job.LoRA) { l.LoraAlpha = math.NaN() }), "lora.lora_alpha"},
		{"dropout", "lora", change(func(l *job.LoRA) { l.LoraDropout = 1 }), "lora.lora_dropout"},
		{"targets", "lora", change(func(l *job.LoRA) { l.TargetModules = nil }), "lora.target_modules"},
		{"bias", "lora", change(func(l *job.LoRA) { l.Bias = "some" }), "lora.bias"},
		{"first values", "lora", change(func(l *job.LoRA) { l.InitLoraWeights = "pissa" }), "lora.init_lora_weights"},
		{"ratio", "lora", change(func(l *job.LoRA) { l.LoraplusLRRatio = -1 }), "lora.loraplus_lr_ratio"},
		{"a module's rank", "lora", change(func(l *job.LoRA) { l.RankPattern = map[string]int{"c_fc": 0} }), "lora.rank_pattern: c_fc is 0"},
		{"a module's alpha", "lora", change(func(l *job.LoRA) { l.AlphaPattern = map[string]float64{"c_fc": -1} }), "lora.alpha_pattern: c_fc is -1"},
		{"a pattern", "lora", change(func(l *job.LoRA) { l.RankPattern = map[string]int{"c_(": 1} }), "lora.rank_pattern"},
		{"an expression", "lora", change(func(l *job.LoRA) { l.TargetModules = []string{"h.(0"} }), "lora.target_modules"},
		{"an expression beside names", "lora", change(func(l *job.LoRA) { l.TargetModules = []string{"c_attn", "h.*"} }), `"h.*" is a regular expression beside others`},
		{"layers of an expression", "lora", change(func(l *job.LoRA) { l.TargetModules, l.LayersToTransform = []string{"h.*"}, []int{1} }), "lora.layers_to_transform"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(job.Spec{Method: tt.method, LoRA: tt.lora})
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}
