package inspect

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carillon/export"
	"carillon/model"
)

const (
	adapters = "../export/testdata/"
	models   = "../model/testdata/"
)

func open(t *testing.T, dir string) Report {
	t.Helper()
	r, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAdaptersAreTold(t *testing.T) {
	for _, tt := range []struct {
		dir, format, method, task, section string
		numbers, tensors                   int
	}{
		{"lora-gpt2", "PEFT", "lora", "causal_lm", `"target_modules":["c_attn"]`, 1024, 4},
		{"prefix-bert-cls", "PEFT", "prefix", "seq_cls", `"num_virtual_tokens":`, 0, 3},
		{"prompt-t5", "PEFT", "prompt", "seq2seq_lm", `"num_virtual_tokens":5`, 320, 1},
		{"ia3-gpt2", "PEFT", "ia3", "causal_lm", `"feedforward_modules":["`, 0, 0},
		{"double_seq_bn-bert-cls", "AdapterHub", "adapter", "seq_cls", `"architecture":"double_seq_bn"`, 2307, 18},
	} {
		r := open(t, adapters+tt.dir)
		if r.Kind != Adapter || r.Format != tt.format || r.Method != tt.method || r.Task != tt.task || r.Problem != "" || !strings.Contains(string(r.Section), tt.section) {
			t.Errorf("%s: %+v", tt.dir, r)
		}
		if tt.numbers > 0 && r.Parameters != tt.numbers || tt.tensors > 0 && len(r.Tensors) != tt.tensors || r.Bytes != int64(4*r.Parameters) {
			t.Errorf("%s: %d numbers, %d bytes in %d tensors; want %d in %d", tt.dir, r.Parameters, r.Bytes, len(r.Tensors), tt.numbers, tt.tensors)
		}
		if !strings.HasPrefix(r.Base, "models/") || len(r.SHA256) != 64 {
			t.Errorf("%s: base %q, SHA-256 %q", tt.dir, r.Base, r.SHA256)
		}
	}
}

// The hash is what export prints of the same adapter, which has one file or several.
func TestAnAdaptersHashIsThatOfItsExport(t *testing.T) {
	for _, dir := range []string{"lora-gpt2", "double_seq_bn-bert-cls"} {
		info, tensors, err := export.Open(adapters + dir)
		if err != nil {
			t.Fatal(err)
		}
		info.Model = map[string]json.RawMessage{"hidden_size": json.RawMessage("32"), "model_type": json.RawMessage(`"bert"`)}
		out := filepath.Join(t.TempDir(), "out")
		sum, err := export.Adapter(out, info, tensors)
		if err != nil {
			t.Fatal(err)
		}
		if r := open(t, out); r.SHA256 != sum || r.Problem != "" {
			t.Errorf("%s: %s, want %s; %s", dir, r.SHA256, sum, r.Problem)
		}
	}
}

func TestModelsAreTold(t *testing.T) {
	for _, tt := range []struct {
		dir, family, architecture, types string
		layers, numbers                  int
	}{
		{"t5", "t5", "T5ForConditionalGeneration", "F32", 4, 49792},
		{"llama-bf16", "llama", "LlamaForCausalLM", "BF16", 2, 36512},
		{"bert-cls", "bert", "BertForSequenceClassification", "F32", 2, 0},
	} {
		r := open(t, models+tt.dir)
		if r.Kind != Model || r.Family != tt.family || r.Architectures[0] != tt.architecture || r.Tensors[0].Type != tt.types || r.Depth != tt.layers || r.Problem != "" {
			t.Errorf("%s: %+v", tt.dir, r)
		}
		sum, err := model.HashDir(models+tt.dir, model.Options{})
		if err != nil || r.BaseSHA256 != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: base hash %s, want %x, %v", tt.dir, r.BaseSHA256, sum, err)
		}
		if tt.numbers > 0 && r.Parameters != tt.numbers {
			t.Errorf("%s: %d numbers, want %d", tt.dir, r.Parameters, tt.numbers)
		}
	}
}

// What cannot be used is told as far as it goes.
func TestProblemsAreTold(t *testing.T) {
	config, err := os.ReadFile(adapters + "lora-gpt2/adapter_config.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		files map[string]string
		want  string
	}{
		"a kind that is not built": {map[string]string{"adapter_config.json": `{"peft_type": "LOHA"}`}, `peft_type is "LOHA"`},
		"no weights":               {map[string]string{"adapter_config.json": string(config)}, "adapter_model.safetensors"},
		"a pickle":                 {map[string]string{"adapter_config.json": string(config), "adapter_model.bin": "x"}, "write it again with"},
		"damaged weights":          {map[string]string{"adapter_config.json": string(config), "adapter_model.safetensors": "x"}, "too few for a safetensors file"},
		"a family that is not built": {map[string]string{"config.json": `{"model_type": "mamba", "vocab_size": 10}`},
			"mamba"},
		"a damaged tokenizer": {map[string]string{"config.json": `{"model_type": "mamba"}`, "tokenizer.json": "{"}, "mamba"},
		"no JSON":             {map[string]string{"feature.json": "{"}, "unexpected end of JSON"},
	} {
		dir := t.TempDir()
		for file, text := range tt.files {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if r := open(t, dir); !strings.Contains(r.Problem, tt.want) {
			t.Errorf("%s: problem %q; want %s", name, r.Problem, tt.want)
		}
	}
}

func TestOtherDirectoriesAreRefused(t *testing.T) {
	for dir, want := range map[string]string{
		t.TempDir():       "is neither an adapter (adapter_config.json), a model",
		"inspect_test.go": "is a file; want a directory",
		"nowhere":         "no such file",
	} {
		if _, err := Open(t.Context(), dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %s", dir, err, want)
		}
	}
}
