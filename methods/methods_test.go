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
		{"bias", "lora", change(func(l *job.LoRA) { l.Bias = "all" }), "lora.bias"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := New(job.Spec{Method: tt.method, LoRA: tt.lora})
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestTargetsMatchAsInPEFT(t *testing.T) {
	linears := []string{"transformer.h.0.attn.c_attn", "transformer.h.0.attn.c_proj", "transformer.h.0.mlp.c_proj"}
	for target, matching := range map[string]int{
		"c_proj": 2, "mlp.c_proj": 1, "c_attn": 1, "attn": 0, "proj": 0, "all-linear": 3,
		"transformer.h.0.attn.c_attn": 1,
	} {
		n := 0
		for _, path := range linears {
			if matches(path, target) {
				n++
			}
		}
		if n != matching {
			t.Errorf("%s matches %d of %v, want %d", target, n, linears, matching)
		}
		err := LoRA{TargetModules: []string{"c_attn", target}}.Check(linears)
		if (err == nil) != (matching > 0) {
			t.Errorf("%s: error %v", target, err)
		}
		if err != nil && !strings.Contains(err.Error(), `["c_attn" "c_proj"]`) {
			t.Errorf("error %q does not say which modules there are", err)
		}
	}
}
