package export

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"carillon/job"
	"carillon/safetensors"
)

// classifierOf is an adapter with the configuration of testdata/lora-gpt2-cls.
func classifierOf() AdapterInfo {
	a := adapterOf("c_attn")
	a.Base, a.Spec.TaskType, a.Spec.Labels = "models/gpt2-cls", job.SeqCls, []string{"negative", "neutral", "positive"}
	return a
}

// adapterOf is an adapter with the configuration of testdata/lora-gpt2.
func adapterOf(targets ...string) AdapterInfo {
	return AdapterInfo{
		Base: "models/gpt2", FanInFanOut: true,
		Spec: job.Spec{Method: "lora", LoRA: &job.LoRA{R: 4, LoraAlpha: 8, TargetModules: targets, Bias: "none"}},
	}
}

func fixture(t *testing.T) []safetensors.Tensor { return tensorsIn(t, "testdata/lora-gpt2") }

func tensorsIn(t *testing.T, dir string) []safetensors.Tensor {
	t.Helper()
	_, tensors, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tensors
}

func keysOf(t *testing.T, path string) map[string]any {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var keys map[string]any
	if err := json.Unmarshal(data, &keys); err != nil {
		t.Fatal(err)
	}
	return keys
}

func namesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// PEFT 0.21.2 wrote these. What is read of them is written again to the byte.
var peftDirs = []string{
	"lora-gpt2", "lora-gpt2-cls", "dora-gpt2", "dora-llama", "lora-all-linear-llama", "lora-bert-cls", "lora-bias-gpt2", "lora-embed-llama",
	"lora-llama", "lora-pattern-llama", "lora-roberta-cls", "lora-rslora-llama", "lora-save-head-llama", "lora-t5", "ia3-gpt2", "ia3-t5",
}

func TestAnAdapterIsWhatPEFTWrites(t *testing.T) {
	for _, name := range peftDirs {
		t.Run(name, func(t *testing.T) {
			theirs := filepath.Join("testdata", name)
			info, tensors, err := Open(theirs)
			if err != nil {
				t.Fatal(err)
			}
			checkAdapter(t, theirs, info, tensors)
		})
	}
	checkAdapter(t, "testdata/lora-gpt2", adapterOf("c_attn"), fixture(t))
	checkAdapter(t, "testdata/lora-gpt2-cls", classifierOf(), tensorsIn(t, "testdata/lora-gpt2-cls"))
}

func checkAdapter(t *testing.T, theirs string, info AdapterInfo, tensors []safetensors.Tensor) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "runs", "adapter")
	slices.Reverse(tensors) // the order they come in does not matter
	sum, err := Adapter(out, info, tensors)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := namesIn(t, out), namesIn(t, theirs); !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
	got, err := os.ReadFile(filepath.Join(out, adapterWeightsFile))
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(theirs, adapterWeightsFile))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the weights file has %d bytes and is not the %d bytes that PEFT wrote", len(got), len(want))
	}
	if sum != sumOf(want) {
		t.Errorf("the hash is %s, want that of the file, %s", sum, sumOf(want))
	}
	ours, peft := keysOf(t, filepath.Join(out, adapterConfigFile)), keysOf(t, filepath.Join(theirs, adapterConfigFile))
	delete(peft, "peft_version")
	if saved, ok := peft["modules_to_save"].([]any); ok { // PEFT may name one twice
		peft["modules_to_save"] = slices.Compact(saved)
	}
	if !reflect.DeepEqual(ours, peft) {
		t.Errorf("the configuration is\n%v, want\n%v", ours, peft)
	}
}

func sumOf(b []byte) string { return fmt.Sprintf("%x", sha256.Sum256(b)) }

func TestAllLinearNamesEachModule(t *testing.T) {
	out := filepath.Join(t.TempDir(), "adapter")
	tensors := fixture(t)
	if _, err := Adapter(out, adapterOf("all-linear"), tensors); err != nil {
		t.Fatal(err)
	}
	info, again, err := Open(out)
	if want := []string{"transformer.h.0.attn.c_attn", "transformer.h.1.attn.c_attn"}; err != nil || !slices.Equal(info.Spec.LoRA.TargetModules, want) {
		t.Errorf("target_modules is %q (%v), want %q", info.Spec.LoRA.TargetModules, err, want)
	}
	if !reflect.DeepEqual(again, tensors) {
		t.Error("what is read back is not what was written")
	}
}

func TestWhatAnAdapterSaysIsReadBack(t *testing.T) {
	info, tensors, err := Open("testdata/lora-gpt2")
	if err != nil || len(tensors) != 4 {
		t.Fatalf("%d tensors (%v), want 4", len(tensors), err)
	}
	want := adapterOf("c_attn")
	want.Spec.TaskType, want.Spec.BaseModel = job.CausalLM, want.Base
	if !reflect.DeepEqual(info, want) {
		t.Errorf("read %+v, want %+v", info, want)
	}
	info, tensors, err = Open("testdata/lora-gpt2-cls")
	if err != nil || len(tensors) != 5 {
		t.Fatalf("%d tensors (%v), want 5", len(tensors), err)
	}
	want = classifierOf()
	want.Spec.BaseModel, want.Spec.Labels = want.Base, []string{"LABEL_0", "LABEL_1", "LABEL_2"}
	if !reflect.DeepEqual(info, want) {
		t.Errorf("read %+v, want %+v", info, want)
	}
}

func TestWhatIsNotBuiltIsRefusedByName(t *testing.T) {
	for change, want := range map[string]string{
		`"init_lora_weights": true|"init_lora_weights": "pissa_niter_4"`:       "init_lora_weights",
		`"layers_pattern": null|"layers_pattern": "h"`:                         "layers_pattern",
		`"lora_bias": false|"lora_bias": true`:                                 "lora_bias",
		`"LORA"|"LOHA"`:                                                        "LOHA",
		`"CAUSAL_LM"|"TOKEN_CLS"`:                                              "TOKEN_CLS",
		`"bias": "none"|"bias": "some"`:                                        "lora.bias",
		`"r": 4|"r": 0`:                                                        "lora.r",
		`"r": 4|"r": 5`:                                                        "r = 5",
		`"lora_alpha": 8|"lora_alpha": -8`:                                     "lora.lora_alpha",
		`"use_dora": false|"use_dora": true`:                                   "lora_magnitude_vector",
		`"rank_pattern": {}|"rank_pattern": {"c_attn": 3}`:                     "r = 3",
		`"layers_to_transform": null|"layers_to_transform": "1"`:               "layers_to_transform",
		`"target_modules": [|"target_modules": "h.(", "x": [`:                  "lora.target_modules",
		`"target_modules": [|"target_modules": [], "x": [`:                     "target_modules is empty",
		`"modules_to_save": null|"modules_to_save": ["wte"], "bias": "lora_x"`: "lora.bias",
	} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS("testdata/lora-gpt2")); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, adapterConfigFile)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		from, to, _ := strings.Cut(change, "|")
		if err := os.WriteFile(path, []byte(strings.Replace(string(data), from, to, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Open(dir); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v, want an error that names the directory and %s", to, err, want)
		}
	}
}

// PEFT writes a list of one layer as a number, and an expression as a text; a text
// that looks like a name is an expression too, of the whole path.
func TestWhatPEFTWritesInSeveralWaysIsRead(t *testing.T) {
	for text, want := range map[string]job.LoRA{
		`"target_modules": ["q"], "layers_to_transform": 1`:      {TargetModules: []string{"q"}, LayersToTransform: []int{1}},
		`"target_modules": ["q"], "layers_to_transform": [0, 2]`: {TargetModules: []string{"q"}, LayersToTransform: []int{0, 2}},
		`"target_modules": ".*\\.q", "exclude_modules": ["k"]`:   {TargetModules: []string{`.*\.q`}, ExcludeModules: []string{"k"}},
		`"target_modules": "q"`:                                  {TargetModules: []string{"(?:q)"}},
		`"target_modules": "all-linear"`:                         {TargetModules: []string{"all-linear"}},
	} {
		info, err := parseLoRA([]byte(`{"peft_type": "LORA", ` + text + `}`))
		want.R, want.LoraAlpha, want.Bias = 8, 8, "none"
		if err != nil || !reflect.DeepEqual(*info.Spec.LoRA, want) {
			t.Errorf("%s: %+v, %v; want %+v", text, info.Spec.LoRA, err, want)
		}
	}
}

func TestWhatCannotBeExportedLeavesNothing(t *testing.T) {
	nan := fixture(t)
	nan[1].Data[3] = float32(math.NaN())
	half := fixture(t)[:3]
	other := fixture(t)
	other[0].Name = "transformer.wte.weight"
	rank := adapterOf("c_attn")
	rank.Spec.LoRA.R = 8
	full := adapterOf("c_attn")
	full.Spec.Method = "full"
	headed := tensorsIn(t, "testdata/lora-gpt2-cls")
	for _, tt := range []struct {
		name    string
		info    AdapterInfo
		tensors []safetensors.Tensor
		want    string
	}{
		{"not a number", adapterOf("c_attn"), nan, "NaN"},
		{"a head too many", adapterOf("c_attn"), headed, "base_model.model.score.weight"},
		{"a head too few", classifierOf(), fixture(t), "score.weight"},
		{"half a pair", adapterOf("c_attn"), half, `"transformer.h.1.attn.c_attn" has the tensors ["lora_A.weight"]`},
		{"no adapter's key", adapterOf("c_attn"), other, "transformer.wte.weight"},
		{"another rank", rank, fixture(t), "r = 8"},
		{"another method", full, fixture(t), "full"},
		{"nothing", adapterOf("c_attn"), nil, "no tensor"},
	} {
		dir := t.TempDir()
		if _, err := Adapter(filepath.Join(dir, "adapter"), tt.info, tt.tensors); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if left := namesIn(t, dir); len(left) > 0 {
			t.Errorf("%s: %q is left", tt.name, left)
		}
	}
}

func TestOnlyAnEarlierExportIsReplaced(t *testing.T) {
	tensors := fixture(t)
	export := func(out string) error {
		_, err := Adapter(out, adapterOf("c_attn"), tensors)
		return err
	}
	parent := t.TempDir()
	out := filepath.Join(parent, "adapter")
	if err := os.Mkdir(out, 0o755); err != nil { // empty: nothing is lost
		t.Fatal(err)
	}
	for range 2 {
		tensors[0].Data[0]++
		if err := export(out); err != nil {
			t.Fatal(err)
		}
		if _, got, err := Open(out); err != nil || !reflect.DeepEqual(got, tensors) {
			t.Errorf("the newest export is not what is there (%v)", err)
		}
		if names := namesIn(t, parent); len(names) != 1 {
			t.Errorf("%q is there, want the export alone", names)
		}
	}
	if err := os.WriteFile(filepath.Join(out, "notes.txt"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := export(out); err == nil || !strings.Contains(err.Error(), "notes.txt") {
		t.Errorf("over a directory with notes: %v, want a refusal that names them", err)
	}
	theirs := filepath.Join(t.TempDir(), "theirs")
	if err := os.CopyFS(theirs, os.DirFS("testdata/lora-gpt2")); err != nil {
		t.Fatal(err)
	}
	if err := export(theirs); err == nil || !strings.Contains(err.Error(), theirs) {
		t.Errorf("over an adapter of PEFT's: %v, want a refusal", err)
	}
	if err := export(filepath.Join(out, "notes.txt")); err == nil || !strings.Contains(err.Error(), "is a file") {
		t.Errorf("over a file: %v, want a refusal", err)
	}
}

func TestExchangeByAThirdName(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a"), filepath.Join(dir, "b")
	for _, path := range []string{a, b} {
		if err := os.MkdirAll(filepath.Join(path, "was-"+filepath.Base(path)), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := exchangeSlowly(a, b); err != nil {
		t.Fatal(err)
	}
	if got := append(namesIn(t, a), namesIn(t, b)...); !slices.Equal(got, []string{"was-b", "was-a"}) {
		t.Errorf("a and b hold %q", got)
	}
	if err := exchangeSlowly(filepath.Join(dir, "none"), b); !errors.Is(err, os.ErrNotExist) || !slices.Equal(namesIn(t, b), []string{"was-a"}) {
		t.Errorf("an exchange with nothing: %v; b holds %q, want it as it was", err, namesIn(t, b))
	}
}

func FuzzParseLoRA(f *testing.F) {
	data, err := os.ReadFile("testdata/lora-gpt2/adapter_config.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"peft_type":"LORA","target_modules":"all-linear"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if info, err := parseLoRA(b); err == nil && len(info.Spec.LoRA.TargetModules) == 0 {
			t.Errorf("%+v was taken", info.Spec.LoRA)
		}
	})
}
