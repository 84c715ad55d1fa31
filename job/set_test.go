package job

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

func parsed(t *testing.T, text string) Spec {
	t.Helper()
	s, err := Parse("r.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestSetChangesWhatARecipeWouldSay(t *testing.T) {
	for _, tt := range []struct{ key, value, same string }{
		{"max_steps", "10", "max_steps: 10"},
		{"sequence_len", "48", "sequence_len: 48"}, // and the bucket follows
		{"lora.r", "4", "lora: {r: 4}"},
		{"lora_alpha", "32", "lora: {lora_alpha: 32}"},
		{"lora.target_modules", "c_attn, c_proj", "lora: {target_modules: [c_attn, c_proj]}"},
		{"lora.target_modules", "[c_attn]", "lora: {target_modules: [c_attn]}"},
		{"lora", "{r: 2, lora_alpha: 4}", "lora: {r: 2, lora_alpha: 4}"},
		{"length_buckets", "64,512", "length_buckets: [64, 512]"},
		{"output_dir", "2024", "output_dir: '2024'"},
		{"mixed", "true", "mixed: true"},
		{"learning_rate", "3e-3", "learning_rate: 0.003"},
		{"num_epochs", "0.5", "num_epochs: 0.5"},
		{"store", "", "store: ''"},
		{"bf16", "false", ""},
	} {
		got := parsed(t, small)
		if err := got.Set(tt.key, tt.value); err != nil {
			t.Errorf("Set(%s, %s): %v", tt.key, tt.value, err)
			continue
		}
		if want := parsed(t, small+tt.same+"\n"); !reflect.DeepEqual(got, want) {
			t.Errorf("Set(%s, %s) = %+v\nwant %+v", tt.key, tt.value, got, want)
		}
	}
}

func TestSetUnsetsTheRival(t *testing.T) {
	s := parsed(t, small+"num_epochs: 3\nwarmup_ratio: 0.1\n")
	for _, kv := range [][2]string{{"max_steps", "30"}, {"warmup_steps", "3"}} {
		if err := s.Set(kv[0], kv[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Validate(); err != nil || s.NumEpochs != 0 || s.WarmupRatio != 0 {
		t.Errorf("num_epochs %v, warmup_ratio %v, %v; want 0, 0, nil", s.NumEpochs, s.WarmupRatio, err)
	}
}

func TestSetRefuses(t *testing.T) {
	for _, tt := range []struct{ key, value, want string }{
		{"learning_rat", "1", `unknown key "learning_rat": the nearest that there is is learning_rate`},
		{"lora.rr", "1", "the nearest that there is is lora.r"},
		{"num_train_epochs", "3", "write num_epochs: 3"},
		{"max_steps", "abc", `max_steps: found "abc"; want a whole number`},
		{"max_steps", "", `max_steps: found ""; want a whole number`},
		{"datasets", "[{pth: x}]", `unknown key "datasets.pth"`},
		{"datasets", "[", "datasets: not YAML"},
		{"hub", "true", "hub is not built yet"},
	} {
		s := parsed(t, small)
		err := s.Set(tt.key, tt.value)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Set(%s, %s): %v; want %s", tt.key, tt.value, err, tt.want)
		}
		if !reflect.DeepEqual(s, parsed(t, small)) {
			t.Errorf("Set(%s, %s) changed the spec", tt.key, tt.value)
		}
	}
}

func TestSetLeavesCopiesAlone(t *testing.T) {
	s := parsed(t, small)
	before := s
	if err := s.Set("lora.r", "2"); err != nil {
		t.Fatal(err)
	}
	if err := s.Set("lora.target_modules", "c_fc"); err != nil {
		t.Fatal(err)
	}
	if before.LoRA.R != 8 || !slices.Equal(before.LoRA.TargetModules, []string{"all-linear"}) {
		t.Errorf("a copy made before became %+v", *before.LoRA)
	}
}

func TestSetLeavesTheSectionOfTheLastMethodBehind(t *testing.T) {
	s := parsed(t, small)
	if err := s.Set("method", "full"); err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(); err != nil || s.LoRA != nil || s.LearningRate != 2e-5 {
		t.Errorf("lora %v, learning_rate %v, %v; want nil, 2e-05, nil", s.LoRA, s.LearningRate, err)
	}
}

// A method comes with its section, and without the one that was there.
func TestMethodsComeWithTheirSections(t *testing.T) {
	s := Spec{BaseModel: "m", Method: "lora", LoRA: &LoRA{R: 4}}
	got := s.WithMethod(Spec{BaseModel: "other", Method: "prompt", Prompt: &Prompt{NumVirtualTokens: 5}})
	if got.BaseModel != "m" || got.Method != "prompt" || got.LoRA != nil || got.Prompt.NumVirtualTokens != 5 || s.LoRA == nil {
		t.Errorf("got %+v", got)
	}
}
