package model

import (
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"

	"carillon/backend"
	"carillon/methods"
	"carillon/model/nn"
)

// fixture is a case computed by transformers and PEFT in float64.
type fixture struct {
	t       testing.TB
	tensors map[string][]uint32 // the four bytes of each element
	facts   struct {
		LossSum float64             `json:"loss_sum"`
		Tokens  int64               `json:"tokens"`
		Losses  []float64           `json:"per_example_loss"`
		Noise   map[string][][2]int `json:"gradient_is_only_noise"`
		Zero    []string            `json:"zero_gradient"`
		Train   trainFacts          `json:"train"`
	}
}

type trainFacts struct {
	LR        []float64 `json:"lr"`
	Loss      []float64 `json:"loss"`
	GradNorm  []float64 `json:"grad_norm"`
	LossAfter float64   `json:"loss_after"`
}

// openFixture opens testdata/cases/<name>; a name without a folder is of gpt2.
func openFixture(t testing.TB, name string) fixture {
	t.Helper()
	if !strings.Contains(name, "/") {
		name = "gpt2/" + name
	}
	f := fixture{t: t, tensors: map[string][]uint32{}}
	data, err := os.ReadFile(filepath.Join("testdata/cases", name+".safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(data)
	var header map[string]struct {
		Offsets [2]int `json:"data_offsets"`
	}
	if err := json.Unmarshal(data[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	for key, h := range header {
		raw := data[8+n:][h.Offsets[0]:h.Offsets[1]]
		words := make([]uint32, len(raw)/4)
		for i := range words {
			words[i] = binary.LittleEndian.Uint32(raw[4*i:])
		}
		f.tensors[strings.Replace(key, ".adapters.demo.", ".adapters."+methods.AdapterName+".", 1)] = words
	}
	facts, err := os.ReadFile(filepath.Join("testdata/cases", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(facts, &f.facts); err != nil {
		t.Fatal(err)
	}
	if !f.has("input/input_ids") { // the model's cases share a batch
		maps.Copy(f.tensors, openFixture(t, path.Dir(name)+"/base").inputs())
	}
	return f
}

// inputs are the tensors of the batch.
func (f fixture) inputs() map[string][]uint32 {
	in := maps.Clone(f.tensors)
	maps.DeleteFunc(in, func(name string, _ []uint32) bool { return !strings.HasPrefix(name, "input/") })
	return in
}

func (f fixture) has(name string) bool { return f.tensors[name] != nil }

func (f fixture) floats(name string) []float32 {
	f.t.Helper()
	if !f.has(name) {
		f.t.Fatalf("the fixture has no tensor %s", name)
	}
	out := make([]float32, len(f.tensors[name]))
	for i, w := range f.tensors[name] {
		out[i] = math.Float32frombits(w)
	}
	return out
}

func (f fixture) ints(name string) []int32 {
	out := make([]int32, len(f.tensors[name]))
	for i, w := range f.tensors[name] {
		out[i] = int32(w)
	}
	return out
}

// batch returns the case's batch of 3 x 16 tokens.
func (f fixture) batch() Input {
	in := Input{Rows: 3, Len: 16, Tokens: f.ints("input/input_ids"), Mask: f.ints("input/attention_mask")}
	for i, kind := range f.ints("input/token_type_ids") {
		in.Mask[i] *= 1 + kind
	}
	switch labels := f.ints("input/labels"); {
	case f.has("input/decoder_input_ids"):
		in.Targets, in.DecoderTokens, in.TargetLen = labels, f.ints("input/decoder_input_ids"), len(labels)/in.Rows
	case len(labels) == 0: // features alone are asked for
	case len(labels) == in.Rows:
		in.Targets = labels
	default:
		in.Labels = labels
	}
	return in
}

// initial returns the trainables that the case starts from.
func (f fixture) initial(s *Session) []float32 {
	flat := s.Initial()
	for _, p := range s.Params() {
		if f.has("init/" + p.Name) {
			copy(flat[p.Offset:], f.floats("init/"+p.Name))
		}
	}
	return flat
}

func openModel(t testing.TB, be *backend.Backend, dir string) *Model {
	t.Helper()
	m, err := Load(be, filepath.Join("testdata", dir), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func startSession(t testing.TB, m *Model, method nn.Method) *Session {
	t.Helper()
	return startTask(t, m, method, ownTask(m.arch))
}

func startTask(t testing.TB, m *Model, method nn.Method, task task) *Session {
	t.Helper()
	s, err := m.newSession(method, task, 42)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// largest returns the largest magnitude of x.
func largest(x []float32) float64 {
	m := 0.0
	for _, v := range x {
		m = max(m, math.Abs(float64(v)))
	}
	return m
}

// furthest returns the largest magnitude of a - b; NaN counts as infinite.
func furthest(a, b []float32) float64 {
	m := 0.0
	for i := range b {
		d := math.Abs(float64(a[i]) - float64(b[i]))
		if !(d <= math.MaxFloat64) {
			return math.Inf(1)
		}
		m = max(m, d)
	}
	return m
}
