package job

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func whole(t *testing.T) Spec {
	t.Helper()
	text, err := os.ReadFile("testdata/whole.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return parsed(t, string(text))
}

// If this fails, stored jobs can no longer be resumed: raise identityFormat, and
// say so in the changelog.
func TestIdentityStaysTheSame(t *testing.T) {
	id := whole(t).Identity([32]byte{1}, [32]byte{2})
	const want = "8ac89bb25c7c74d82bb98022c9ccc296b8cb42d3c67df34dc8e6cf6034960404"
	if got := hex.EncodeToString(id[:]); got != want {
		t.Errorf("identity = %s\nwant       %s", got, want)
	}
}

func TestIdentityKnowsWhatCanChangeBits(t *testing.T) {
	base := whole(t)
	free := map[string]string{
		"nodes": "4", "min_nodes": "1", "max_nodes": "0", "algorithm": "twoshot", "store": "x", "save_steps": "1",
		"save_minutes": "0", "save_total_limit": "9", "save_dtype": "float16", "logging_steps": "1", "output_dir": "x", "base_model": "elsewhere",
		"datasets":      "[{path: moved, type: prompt_completion, held_out: [net/http, sync]}, {path: less, type: classification, ds_type: tsv, columns: [words, kind], field_text: words, field_label: kind}]",
		"test_datasets": "[{path: moved}]",
	}
	counts := map[string]string{
		"seed": "1", "lanes": "4", "micro_batch_size": "1", "sequence_len": "300", "length_buckets": "256", "max_steps": "201",
		"learning_rate": "1e-3", "lr_scheduler": "cosine", "warmup_ratio": "0", "weight_decay": "0", "adam_beta1": "0.9",
		"adam_beta2": "0.9", "adam_epsilon": "1e-8", "max_grad_norm": "1", "compression": "q8", "train_on_inputs": "false",
		"val_set_size": "0", "excess_length_strategy": "drop", "cpu_threads": "4", "mixed": "false", "eval_steps": "0",
		"eval_examples": "0", "method": "full", "lora": "{r: 8}",
		"datasets": "[{path: go:std}]", "test_datasets": "[{path: test.jsonl, type: alpaca}]", "labels": "good,bad", "class_weights": "2,1",
		"mask_history": "false", "token_dropout": "0", "mlm_probability": "0.3", "neftune_noise_alpha": "0", "bf16": "false", "gradient_checkpointing": "false", "source_prefix": "", "chat_template": "zephyr",
	}
	for _, tt := range []struct {
		changes map[string]string
		counts  bool
	}{{free, false}, {counts, true}} {
		for key, value := range tt.changes {
			s := whole(t)
			if err := s.Set(key, value); err != nil {
				t.Fatal(err)
			}
			if reflect.DeepEqual(s, base) {
				t.Errorf("%s=%s changes nothing", key, value)
			}
			differs := s.Identity([32]byte{}, [32]byte{}) != base.Identity([32]byte{}, [32]byte{})
			if diff := base.IdentityDiff(s); differs != tt.counts || names(diff, key) != tt.counts || len(diff) > 0 != tt.counts {
				t.Errorf("%s=%s: another identity: %v, difference %q; want %v", key, value, differs, diff, tt.counts)
			}
		}
	}
	if base.Identity([32]byte{1}, [32]byte{}) == base.Identity([32]byte{}, [32]byte{1}) {
		t.Error("base and data can be exchanged")
	}
}

// names says whether a difference is about key.
func names(diff []string, key string) bool {
	return slices.ContainsFunc(diff, func(d string) bool { return strings.HasPrefix(d, key+" is ") })
}

func TestIdentityDiffNamesASectionThatOneLacks(t *testing.T) {
	a, b := whole(t), whole(t)
	b.Method, b.LoRA = "full", nil
	lora := string(canonical(generic(a)["lora"]))
	want := []string{"lora is " + lora + " here and not set there", `method is "lora" here and "full" there`}
	if got := a.IdentityDiff(b); !slices.Equal(got, want) {
		t.Errorf("a against b: %q, want %q", got, want)
	}
	want = []string{"lora is not set here and " + lora + " there", `method is "full" here and "lora" there`}
	if got := b.IdentityDiff(a); !slices.Equal(got, want) {
		t.Errorf("b against a: %q, want %q", got, want)
	}
}

func TestSpecTravelsAsJSON(t *testing.T) {
	s := whole(t)
	got, err := DecodeSpec(s.Encode())
	if err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("decoded %+v, %v\nwant %+v", got, err, s)
	}
	inside, err := json.Marshal(struct{ Spec Spec }{s})
	if err != nil || !strings.Contains(string(inside), `"Spec":{"version":2,"base_model":`) {
		t.Errorf("inside another: %s, %v", inside, err)
	}
}

func TestDecodeSpecRefuses(t *testing.T) {
	good := string(whole(t).Encode())
	for _, tt := range []struct{ text, want string }{
		{"", "EOF"},
		{good[:len(good)/2], "unexpected EOF"},
		{good + good, "more follows"},
		{strings.Replace(good, `"version":2`, `"version":3`, 1), "version 3; this program reads 2"},
		{strings.Replace(good, `"version":2,`, "", 1), "version 0"},
		{strings.Replace(good, `"lanes"`, `"lames"`, 1), `unknown field "lames"`},
		{strings.Replace(good, `"lanes":16`, `"lanes":"16"`, 1), "lanes"},
		{strings.Replace(good, `"lanes":16`, `"lanes":0`, 1), "spec: lanes: 0; want"},
	} {
		if _, err := DecodeSpec([]byte(tt.text)); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("DecodeSpec(%.40q...): %v; want %s", tt.text, err, tt.want)
		}
	}
}

func FuzzDecodeSpec(f *testing.F) {
	f.Add([]byte(`{"version":2,"base_model":"b","method":"lora"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if s, err := DecodeSpec(text); err == nil {
			s.Identity([32]byte{}, [32]byte{})
		}
	})
}

func TestTotalSteps(t *testing.T) {
	for _, tt := range []struct {
		spec     Spec
		examples int
		want     uint64
	}{
		{Spec{MaxSteps: 7, Lanes: 8, MicroBatchSize: 2}, 3, 7},
		{Spec{NumEpochs: 1, Lanes: 8, MicroBatchSize: 2}, 160, 10},
		{Spec{NumEpochs: 1, Lanes: 8, MicroBatchSize: 2}, 161, 11},
		{Spec{NumEpochs: 3, Lanes: 8, MicroBatchSize: 2}, 5, 1}, // steps go across epochs
		{Spec{NumEpochs: 0.5, Lanes: 4, MicroBatchSize: 1}, 9, 2},
		{Spec{NumEpochs: 0.001, Lanes: 4, MicroBatchSize: 1}, 9, 1},
		{Spec{NumEpochs: 1, Lanes: 4, MicroBatchSize: 1}, 0, 0},
	} {
		if got := tt.spec.TotalSteps(tt.examples); got != tt.want {
			t.Errorf("max_steps %d, num_epochs %v, %d lanes x %d, %d examples: %d steps, want %d",
				tt.spec.MaxSteps, tt.spec.NumEpochs, tt.spec.Lanes, tt.spec.MicroBatchSize, tt.examples, got, tt.want)
		}
	}
}
