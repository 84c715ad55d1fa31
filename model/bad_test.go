package model

import (
	"bytes"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"carillon/backend/backendtest"
	"carillon/job"
	"carillon/methods"
	"carillon/safetensors"
)

// writeModel copies testdata/gpt2 with its configuration and tensors changed.
func writeModel(t *testing.T, config func(string) string, tensors func([]safetensors.Tensor) []safetensors.Tensor) string {
	t.Helper()
	dir := t.TempDir()
	data, err := os.ReadFile("testdata/gpt2/config.json")
	if err != nil {
		t.Fatal(err)
	}
	files, err := safetensors.OpenDir("testdata/gpt2")
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	var all []safetensors.Tensor
	for _, info := range files.Tensors() {
		x := safetensors.Tensor{Name: info.Name, Shape: info.Shape, Data: make([]float32, info.Size())}
		if err := files.Float32(info.Name, x.Data); err != nil {
			t.Fatal(err)
		}
		all = append(all, x)
	}
	var b bytes.Buffer
	if err := safetensors.Write(&b, safetensors.F32, tensors(all)); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"config.json": []byte(config(string(data))), "model.safetensors": b.Bytes()} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// withConfig copies a model's directory with another configuration.
func withConfig(t *testing.T, dir, config string) string {
	t.Helper()
	out := t.TempDir()
	for name, data := range map[string]string{"config.json": config, "model.safetensors": readFile(t, filepath.Join(dir, "model.safetensors"))} {
		if err := os.WriteFile(filepath.Join(out, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func same[T any](x T) T { return x }

func replace(old, new string) func(string) string {
	return func(s string) string { return strings.Replace(s, old, new, 1) }
}

func TestBadDirectoriesAreRefusedByName(t *testing.T) {
	type list = []safetensors.Tensor
	const bias = "transformer.h.1.mlp.c_fc.bias"
	drop := func(x list) list {
		return slices.DeleteFunc(x, func(t safetensors.Tensor) bool { return t.Name == bias })
	}
	add := func(name string, shape ...int) func(list) list {
		size := 1
		for _, d := range shape {
			size *= d
		}
		return func(x list) list {
			return append(x, safetensors.Tensor{Name: name, Shape: shape, Data: make([]float32, size)})
		}
	}
	for _, tt := range []struct {
		name    string
		config  func(string) string
		tensors func(list) list
		want    []string
	}{
		{"as it is", same[string], same[list], nil},
		{"missing tensor", same[string], drop, []string{"tensor " + bias + " is missing"}},
		{"superfluous tensor", same[string], add("transformer.h.2.ln_1.bias", 32), []string{"transformer.h.2.ln_1.bias is superfluous"}},
		{"both, and all are named", same[string], func(x list) list { return add("other", 1)(drop(x)) }, []string{"other is superfluous", bias + " is missing"}},
		{"another width", replace(`"n_inner": null`, `"n_inner": 64`), same[list], []string{bias, "[128]", "[64]"}},
		{"a head that differs", same[string], add("lm_head.weight", 256, 32), []string{"lm_head.weight differs from transformer.wte.weight"}},
		{"unknown family", replace(`"gpt2"`, `"gpt9"`), same[list], []string{"config.json", `"gpt9"`, "gpt2"}},
		{"unknown activation", replace("gelu_new", "swash"), same[list], []string{"activation_function", `"swash"`}},
		{"a classifier without its head", replace("GPT2LMHeadModel", "GPT2ForSequenceClassification"), same[list], []string{"tensor score.weight is missing"}},
		{"no heads", replace(`"n_head": 4`, `"n_head": 0`), same[list], []string{"n_head is 0"}},
		{"odd heads", replace(`"n_head": 4`, `"n_head": 5`), same[list], []string{"n_embd 32", "n_head 5"}},
		{"wrong type", replace(`"n_embd": 32`, `"n_embd": "32"`), same[list], []string{"config.json", "n_embd"}},
		{"no JSON", func(string) string { return "{" }, same[list], []string{"config.json"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := writeModel(t, tt.config, tt.tensors)
			m, err := Load(backendtest.Go(t), dir, Options{})
			if tt.want == nil {
				if err != nil {
					t.Fatal(err)
				}
				if err := m.Close(); err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil {
				t.Fatal("the directory was loaded")
			}
			for _, want := range append(tt.want, dir) {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q does not say %q", err, want)
				}
			}
		})
	}
}

func TestNotANumberInAWeightIsNamed(t *testing.T) {
	dir := writeModel(t, same[string], same[[]safetensors.Tensor])
	path := filepath.Join(dir, "model.safetensors")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	bits := math.Float32bits(float32(math.NaN()))
	copy(data[len(data)-4:], []byte{byte(bits), byte(bits >> 8), byte(bits >> 16), byte(bits >> 24)})
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := Load(backendtest.Go(t), dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, method := range []string{"full", "lora"} {
		spec := job.Spec{Method: method, LoRA: &job.LoRA{R: 2, LoraAlpha: 4, TargetModules: []string{"c_attn"}}}
		if _, err := m.Train(spec); err == nil || !strings.Contains(err.Error(), "tensor transformer.wte.weight: element 8191 is NaN") {
			t.Errorf("%s: error %v, want one that names transformer.wte.weight", method, err)
		}
	}
}

func TestBadBatchesAreRefused(t *testing.T) {
	s := startSession(t, openModel(t, backendtest.Go(t), "gpt2"), methods.Full{})
	for name, spoil := range map[string]func(*Input){
		"too long":               func(in *Input) { in.Rows, in.Len = 1, 65 },
		"no rows":                func(in *Input) { in.Rows = 0 },
		"not as long as it says": func(in *Input) { in.Mask = in.Mask[1:] },
		"a token beyond":         func(in *Input) { in.Tokens[3] = 256 },
		"a negative token":       func(in *Input) { in.Tokens[3] = -1 },
		"a label beyond":         func(in *Input) { in.Labels[3] = 256 },
		"a negative label":       func(in *Input) { in.Labels[3] = -1 },
	} {
		in := openFixture(t, "base").batch()
		spoil(&in)
		if _, err := s.Gradient(in, job.Key{}, make([]float32, s.Size())); err == nil {
			t.Errorf("a batch that has %s was run", name)
		}
	}
	if err := s.Upload(make([]float32, 3)); err == nil {
		t.Error("three trainables were uploaded")
	}
}

func TestRandomWeightsAndHashes(t *testing.T) {
	be, dir := backendtest.Go(t), "testdata/gpt2"
	load := func(o Options) *Model {
		m, err := Load(be, dir, o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { m.Close() })
		return m
	}
	file, one, two := load(Options{}), load(Options{ReinitWeights: true, Seed: 1}), load(Options{ReinitWeights: true, Seed: 2})
	if file.Hash() != load(Options{}).Hash() || file.Hash() == one.Hash() || one.Hash() == two.Hash() {
		t.Errorf("hashes %x (file), %x and %x (random)", file.Hash(), one.Hash(), two.Hash())
	}
	s := startSession(t, one, methods.Full{})
	flat := s.Initial()
	for _, p := range s.Params() {
		x := flat[p.Offset:][:elements(p.Shape)]
		want := 0.02
		switch {
		case strings.HasSuffix(p.Name, "c_proj.weight"):
			want = 0.01 // 0.02/√(2·2)
		case strings.HasSuffix(p.Name, "bias"):
			want = 0
		case strings.Contains(p.Name, "ln_"):
			want = 1
		}
		if got := rms(x); math.Abs(got-want) > 0.05*want {
			t.Errorf("%s: root mean square %v, want %v", p.Name, got, want)
		}
	}
}

func elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

func rms(x []float32) float64 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return math.Sqrt(sum / float64(len(x)))
}
