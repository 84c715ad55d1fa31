package export

import (
	"os"
	"path/filepath"
	"testing"
)

func FuzzParseScales(f *testing.F) {
	for _, dir := range []string{"ia3-gpt2", "ia3-t5"} {
		data, err := os.ReadFile(filepath.Join("testdata", dir, adapterConfigFile))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"peft_type":"IA3","target_modules":".*c_attn","feedforward_modules":[],"task_type":"SEQ_CLS","modules_to_save":["score"]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if info, err := parseScales(b); err == nil && (info.Spec.Method != "ia3" || info.Spec.IA3 == nil) {
			t.Errorf("%+v was taken", info.Spec)
		}
	})
}

// Labels get a name each, whatever numbers somebody gave them.
func FuzzParseHubHead(f *testing.F) {
	f.Add([]byte(`{"config":null,"label2id":{"no":0,"yes":1}}`), 2)
	f.Add([]byte(`{"label2id":{"no":-1,"yes":7}}`), 2)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		numbers, err := parseHubHead(b)
		if err != nil || n < 0 || n > 1000 {
			return
		}
		labels := make([]string, n)
		for i := range labels {
			labels[i] = "LABEL"
		}
		if nameLabels(labels, numbers); len(labels) != n {
			t.Errorf("%s: %q", b, labels)
		}
	})
}

// An adapter's directory comes from outside: what is taken has a method, and tensors
// with all their numbers.
func FuzzOpen(f *testing.F) {
	for _, dir := range []string{"lora-gpt2", "prefix-bert-cls", "ia3-gpt2", "prompt-t5"} {
		config, err := os.ReadFile(filepath.Join("testdata", dir, adapterConfigFile))
		if err != nil {
			f.Fatal(err)
		}
		weights, err := os.ReadFile(filepath.Join("testdata", dir, adapterWeightsFile))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(config, weights)
	}
	f.Fuzz(func(t *testing.T, config, weights []byte) {
		dir := t.TempDir()
		for name, data := range map[string][]byte{adapterConfigFile: config, adapterWeightsFile: weights, hubWeightsFile: weights} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		info, tensors, err := Open(dir)
		if err != nil {
			return
		}
		if _, _, err := File(tensors); err != nil || info.Spec.Method == "" {
			t.Errorf("%+v was taken with %d tensors: %v", info.Spec, len(tensors), err)
		}
	})
}
