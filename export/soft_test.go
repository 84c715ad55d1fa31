package export

import (
	"bytes"
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

// modelOf is the configuration of one of the tests' models.
func modelOf(t *testing.T, name string) AdapterInfo {
	t.Helper()
	info, err := infoOf(job.Spec{BaseModel: "models/" + name}, "../model/testdata/"+name)
	if err != nil {
		t.Fatal(err)
	}
	switch name {
	case "bert-cls":
		info.Spec.TaskType, info.Spec.Labels = job.SeqCls, []string{"negative", "neutral", "positive"}
	case "t5":
		info.Spec.TaskType = job.Seq2SeqLM
	default:
		info.Spec.TaskType = job.CausalLM
	}
	return info
}

// softOf is the adapter of one of the fixtures' directories.
func softOf(t *testing.T, dir string) AdapterInfo {
	t.Helper()
	kind, model, _ := strings.Cut(strings.Replace(dir, "prefix-projection", "projection", 1), "-")
	info := modelOf(t, model)
	switch info.Spec.Method = "prefix"; kind {
	case "prompt":
		info.Spec.Method, info.Spec.Prompt = "prompt", &job.Prompt{NumVirtualTokens: 5, PromptTuningInit: "random"}
	case "prefix":
		info.Spec.Prefix = &job.Prefix{NumVirtualTokens: 4}
	case "projection":
		info.Spec.Prefix = &job.Prefix{NumVirtualTokens: 4, PrefixProjection: true, EncoderHiddenSize: 24}
	}
	return info
}

// PEFT 0.21.2 wrote the fixtures; ours are the same files to the byte, but for the
// library's version, and for names that it lists twice.
func TestPromptsAndPrefixesAreWhatPEFTWrites(t *testing.T) {
	for _, dir := range []string{"prompt-gpt2", "prompt-bert-cls", "prompt-t5", "prefix-gpt2", "prefix-bert-cls", "prefix-llama", "prefix-t5"} {
		t.Run(dir, func(t *testing.T) {
			theirs, out := filepath.Join("testdata", dir), filepath.Join(t.TempDir(), "adapter")
			read, tensors, err := Open(theirs)
			if err != nil {
				t.Fatal(err)
			}
			info := softOf(t, dir)
			if _, err := Adapter(out, info, tensors); err != nil {
				t.Fatal(err)
			}
			checkSameFiles(t, out, theirs)
			again, back, err := Open(out)
			if err != nil || !reflect.DeepEqual(back, tensors) || !reflect.DeepEqual(again, read) {
				t.Errorf("what is read back is not what was written (%v)", err)
			}
			if read.Spec.TaskType != info.Spec.TaskType || read.Spec.Method != info.Spec.Method || len(read.Spec.Labels) != len(info.Spec.Labels) {
				t.Errorf("read as %+v", read.Spec)
			}
		})
	}
}

// checkSameFiles compares a PEFT directory of ours with one of PEFT's.
func checkSameFiles(t *testing.T, ours, theirs string) {
	t.Helper()
	if got, want := namesIn(t, ours), namesIn(t, theirs); !slices.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
	got, err := os.ReadFile(filepath.Join(ours, adapterWeightsFile))
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
	checkSameConfig(t, ours, theirs)
}

func checkSameConfig(t *testing.T, ours, theirs string) {
	t.Helper()
	mine, peft := keysOf(t, filepath.Join(ours, adapterConfigFile)), keysOf(t, filepath.Join(theirs, adapterConfigFile))
	delete(peft, "peft_version")
	if saved, ok := peft["modules_to_save"].([]any); ok {
		peft["modules_to_save"] = slices.Compact(saved)
	}
	if !reflect.DeepEqual(mine, peft) {
		t.Errorf("the configuration is\n%v, want\n%v", mine, peft)
	}
}

// Of a prefix that a network made, what the network makes is exported, as PEFT does.
func TestANetworksPrefixIsExportedFlat(t *testing.T) {
	const theirs = "testdata/prefix-projection-gpt2"
	f, err := safetensors.Open("../model/testdata/cases/gpt2/prefix-projection.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var network []safetensors.Tensor
	for _, info := range f.Tensors() {
		if name, ok := strings.CutPrefix(info.Name, "init/prompt_encoder."); ok {
			data := make([]float32, info.Size())
			if err := f.Float32(info.Name, data); err != nil {
				t.Fatal(err)
			}
			network = append(network, safetensors.Tensor{Name: "prompt_encoder." + name, Shape: info.Shape, Data: data})
		}
	}
	out := filepath.Join(t.TempDir(), "adapter")
	if _, err := Adapter(out, softOf(t, filepath.Base(theirs)), network); err != nil {
		t.Fatal(err)
	}
	checkSameConfig(t, out, theirs)
	info, got, err := Open(out)
	if err != nil || info.Spec.Prefix.PrefixProjection {
		t.Fatalf("read as %+v (%v), want a prefix without its network", info.Spec.Prefix, err)
	}
	want := tensorsIn(t, theirs)
	for i, x := range want[0].Data {
		if d := math.Abs(float64(x - got[0].Data[i])); d > 1e-6 {
			t.Fatalf("number %d is off by %v", i, d)
		}
	}
	if _, err := Adapter(out, softOf(t, filepath.Base(theirs)), network[:4]); err == nil || !strings.Contains(err.Error(), "five") {
		t.Errorf("four tensors of a network: %v", err)
	}
}

func TestHowAPromptBeganIsSaidInPEFTsWords(t *testing.T) {
	for _, tt := range []struct {
		begin, text string
		want        map[string]any
	}{
		{"random", "", map[string]any{"prompt_tuning_init": "RANDOM", "prompt_tuning_init_text": nil, "tokenizer_name_or_path": nil}},
		{"sample_vocab", "", map[string]any{"prompt_tuning_init": "SAMPLE_VOCAB", "prompt_tuning_init_text": nil}},
		{"class_labels", "", map[string]any{"prompt_tuning_init": "RANDOM"}},
		{"text", "Say <it>:", map[string]any{"prompt_tuning_init": "TEXT", "prompt_tuning_init_text": "Say <it>:", "tokenizer_name_or_path": "models/gpt2"}},
	} {
		info, out := softOf(t, "prompt-gpt2"), filepath.Join(t.TempDir(), "adapter")
		info.Spec.Prompt.PromptTuningInit, info.Spec.Prompt.PromptTuningInitText = tt.begin, tt.text
		if _, err := Adapter(out, info, tensorsIn(t, "testdata/prompt-gpt2")); err != nil {
			t.Fatal(err)
		}
		got := keysOf(t, filepath.Join(out, adapterConfigFile))
		for key, want := range tt.want {
			if got[key] != want {
				t.Errorf("%s: %s is %v, want %v", tt.begin, key, got[key], want)
			}
		}
	}
}

func TestSoftAdaptersThatDoNotFitAreRefused(t *testing.T) {
	prompt, prefix := tensorsIn(t, "testdata/prompt-gpt2"), tensorsIn(t, "testdata/prefix-gpt2")
	six := softOf(t, "prompt-gpt2")
	six.Spec.Prompt.NumVirtualTokens = 6
	bare := softOf(t, "prompt-gpt2")
	bare.Model = nil
	for _, tt := range []struct {
		info    AdapterInfo
		tensors []safetensors.Tensor
		want    string
	}{
		{six, prompt, "6 virtual tokens"},
		{bare, prompt, "num_hidden_layers"},
		{softOf(t, "prompt-bert-cls"), prompt, "has no tensor of its head"},
		{softOf(t, "prompt-gpt2"), tensorsIn(t, "testdata/prompt-bert-cls"), "of a classifier's head"},
		{softOf(t, "prefix-gpt2"), append(prefix[:1:1], prompt...), "prompt_embeddings alone"},
		{softOf(t, "prefix-gpt2"), []safetensors.Tensor{{Name: promptKey, Shape: []int{4, 30}, Data: make([]float32, 120)}}, "2 layers of 4 heads"},
	} {
		dir := t.TempDir()
		if _, err := Adapter(filepath.Join(dir, "adapter"), tt.info, tt.tensors); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, want %q", err, tt.want)
		}
		if left := namesIn(t, dir); len(left) > 0 {
			t.Errorf("%q is left", left)
		}
	}
}

// change copies a fixture's directory with something else in its configuration.
func change(t *testing.T, dir, old, new string) string {
	t.Helper()
	out := filepath.Join(t.TempDir(), "changed")
	if err := os.CopyFS(out, os.DirFS(filepath.Join("testdata", dir))); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(out, adapterConfigFile)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(data, []byte(old)) {
		t.Fatalf("%s has no %s", path, old)
	}
	if err := os.WriteFile(path, bytes.ReplaceAll(data, []byte(old), []byte(new)), 0o644); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestSoftAdaptersThatAreNotBuiltAreRefusedByKey(t *testing.T) {
	for _, tt := range []struct{ dir, old, new, want string }{
		{"prompt-gpt2", `"PROMPT_TUNING"`, `"P_TUNING"`, "peft_type"},
		{"prompt-gpt2", `"CAUSAL_LM"`, `"TOKEN_CLS"`, "task_type"},
		{"prompt-gpt2", `"num_virtual_tokens": 5`, `"num_virtual_tokens": 0`, "num_virtual_tokens"},
		{"prompt-gpt2", `"num_virtual_tokens": 5`, `"num_virtual_tokens": 4`, "5 rows; the configuration says 4"},
		{"prompt-gpt2", `"modules_to_save": null`, `"modules_to_save": ["wte"]`, "modules_to_save"},
		{"prompt-gpt2", `"num_layers": 2`, `"num_layers": "2"`, adapterConfigFile},
	} {
		dir := change(t, tt.dir, tt.old, tt.new)
		if _, _, err := Open(dir); err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v, want an error that names the directory and %s", tt.new, err, tt.want)
		}
	}
}

func TestPicklesAreNotRun(t *testing.T) {
	for dir, file := range map[string]string{"prompt-gpt2": adapterWeightsFile, "seq_bn-gpt2": hubWeightsFile} {
		out := change(t, dir, "{", "{")
		pickle := map[string]string{adapterWeightsFile: "adapter_model.bin", hubWeightsFile: "pytorch_adapter.bin"}[file]
		if err := os.Rename(filepath.Join(out, file), filepath.Join(out, pickle)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := Open(out); err == nil || !strings.Contains(err.Error(), pickle) || !strings.Contains(err.Error(), "True)") {
			t.Errorf("%s: %v, want an error that says how to write it again", pickle, err)
		}
	}
}

func FuzzParseSoft(f *testing.F) {
	for _, dir := range []string{"prompt-t5", "prefix-bert-cls"} {
		data, err := os.ReadFile(filepath.Join("testdata", dir, adapterConfigFile))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if info, rows, err := parseSoft(b); err == nil && (rows < 1 || info.Spec.Method == "") {
			t.Errorf("%+v was taken", info.Spec)
		}
	})
}
