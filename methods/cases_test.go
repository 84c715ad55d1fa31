package methods_test

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"carillon/job"
	"carillon/methods"
	"carillon/model"
	"carillon/shard"
)

// The tolerances of the fixtures' README.
const (
	logitsTolerance   = 2e-5 // of the largest logit
	lossTolerance     = 2e-6 // of the loss
	gradientTolerance = 3e-5 // of the case's largest gradient
	tensorTolerance   = 1e-4 // of the tensor's own largest gradient
)

// reference is a case that transformers, PEFT or adapters computed in float64.
type reference struct {
	tensors map[string][]int32  // the bits of each number
	LossSum float64             `json:"loss_sum"`
	Losses  []float32           `json:"per_example_loss"`
	Noise   map[string][][2]int `json:"gradient_is_only_noise"`
	Zero    []string            `json:"zero_gradient"`
}

func casePath(base, name string) string {
	return filepath.Join("../model/testdata/cases", base, name)
}

func readCase(t *testing.T, base, name string) (r reference) {
	t.Helper()
	facts, err := os.ReadFile(casePath(base, name) + ".json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(facts, &r); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(casePath(base, name) + ".safetensors")
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
	r.tensors = map[string][]int32{}
	for key, h := range header {
		words := make([]int32, (h.Offsets[1]-h.Offsets[0])/4)
		for i := range words {
			words[i] = int32(binary.LittleEndian.Uint32(data[8+n:][h.Offsets[0]+4*i:]))
		}
		r.tensors[strings.Replace(key, ".adapters.demo.", ".adapters."+methods.AdapterName+".", 1)] = words
	}
	return r
}

// batchOf is the batch of 3 x 16 tokens that all cases of a base model share.
func batchOf(t *testing.T, base string) model.Input {
	t.Helper()
	r := readCase(t, base, "base").tensors
	in := model.Input{Rows: 3, Len: 16, Tokens: r["input/input_ids"], Mask: r["input/attention_mask"]}
	for i, kind := range r["input/token_type_ids"] {
		in.Mask[i] *= 1 + kind
	}
	switch labels := r["input/labels"]; {
	case r["input/decoder_input_ids"] != nil:
		in.Targets, in.DecoderTokens, in.TargetLen = labels, r["input/decoder_input_ids"], len(labels)/in.Rows
	case len(labels) == in.Rows:
		in.Targets = labels
	default:
		in.Labels = labels
	}
	return in
}

// losses are the loss of each example beside others that ask for nothing.
func losses(t *testing.T, s *model.Session, in model.Input) (all []float32) {
	t.Helper()
	for row := range in.Rows {
		loss, err := s.Loss(only(in, row))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, loss)
	}
	return all
}

// only is the batch in which nothing is asked of rows but one.
func only(in model.Input, row int) model.Input {
	for _, labels := range []*[]int32{&in.Labels, &in.Targets} {
		if width := len(*labels) / in.Rows; width > 0 {
			one := slices.Repeat([]int32{shard.Ignore}, len(*labels))
			copy(one[row*width:(row+1)*width], (*labels)[row*width:])
			*labels = one
		}
	}
	return in
}

func (r reference) floats(name string) []float32 {
	out := make([]float32, len(r.tensors[name]))
	for i, w := range r.tensors[name] {
		out[i] = math.Float32frombits(uint32(w))
	}
	return out
}

// checkGradient compares loss and gradient, from the case's own first trainables.
func (r reference) checkGradient(t *testing.T, s *model.Session, in model.Input) {
	t.Helper()
	flat := s.Initial()
	top := 0.0
	for _, p := range s.Params() {
		copy(flat[p.Offset:], r.floats("init/"+p.Name))
		top = max(top, largest(r.floats("grad/"+p.Name)))
	}
	loss, grad := gradient(t, s, in, flat)
	if d := math.Abs(float64(loss)-r.LossSum) / r.LossSum; d > lossTolerance {
		t.Errorf("loss sum %v, want %v (off by %.2g)", loss, r.LossSum, d)
	}
	for _, p := range s.Params() {
		want := r.floats("grad/" + p.Name)
		if len(want) != size(p.Shape) {
			t.Errorf("gradient of %s: the case has %d numbers, the session %d", p.Name, len(want), size(p.Shape))
			continue
		}
		got := grad[p.Offset:][:len(want)]
		for _, noise := range r.Noise[p.Name] {
			copy(got[noise[0]:noise[1]], want[noise[0]:noise[1]])
		}
		d := furthest(got, want)
		if d > gradientTolerance*top || d > tensorTolerance*largest(want) && !slices.Contains(r.Zero, p.Name) {
			t.Errorf("gradient of %s is off by %.2g: %.2g of the case's largest", p.Name, d, d/top)
		}
	}
}

func gradient(t *testing.T, s *model.Session, in model.Input, flat []float32) (float32, []float32) {
	t.Helper()
	if err := s.Upload(flat); err != nil {
		t.Fatal(err)
	}
	grad := make([]float32, s.Size())
	loss, err := s.Gradient(in, job.Key{}, grad)
	if err != nil {
		t.Fatal(err)
	}
	return loss, grad
}

// checkDifferences compares the gradient with differences of the loss, where there
// is no case: at three random places near the first trainables, where nothing is zero
// any more, along random directions through those that along names. One
// of the places may be at the bend of a ReLU.
func checkDifferences(t *testing.T, s *model.Session, in model.Input, along func(name string) bool) {
	t.Helper()
	off := []float64{difference(t, s, in, along, 0), difference(t, s, in, along, 1), difference(t, s, in, along, 2)}
	slices.Sort(off)
	if !(off[1] < 0.03) {
		t.Errorf("gradient and differences of the loss are %.2g of the gradient's length apart, at three places", off)
	}
}

// difference is how far a gradient and the loss's difference are apart at a place, as
// a share of the gradient's length.
func difference(t *testing.T, s *model.Session, in model.Input, along func(string) bool, place uint64) float64 {
	t.Helper()
	flat, shake := s.Initial(), job.NewKey(1, job.ForProbe, place)
	for i := range flat {
		flat[i] += 0.3 * (shake.Uniform(uint64(i)) - 0.5)
	}
	loss, grad := gradient(t, s, in, flat)
	u := direction(s, job.NewKey(2, job.ForProbe, place), along)
	got, norm := 0.0, 0.0
	for i, g := range grad {
		got += float64(g) * u[i]
		norm += float64(g) * float64(g) * u[i] * u[i]
	}
	norm = math.Sqrt(norm)
	h := 2e-5 * float64(loss) / norm // some hundred times the loss's last bit
	want := (lossAt(t, s, in, flat, u, h) - lossAt(t, s, in, flat, u, -h)) / (2 * h)
	return math.Abs(got-want) / norm
}

// direction is a random sign for each trainable that along names.
func direction(s *model.Session, key job.Key, along func(string) bool) []float64 {
	u := make([]float64, s.Size())
	for _, p := range s.Params() {
		for i := p.Offset; i < p.Offset+size(p.Shape); i++ {
			switch {
			case !along(p.Name):
			case key.Uniform(uint64(i)) < 0.5:
				u[i] = -1
			default:
				u[i] = 1
			}
		}
	}
	return u
}

func lossAt(t *testing.T, s *model.Session, in model.Input, flat []float32, u []float64, h float64) float64 {
	t.Helper()
	at := make([]float32, len(flat))
	for i, x := range flat {
		at[i] = x + float32(h*u[i])
	}
	if err := s.Upload(at); err != nil {
		t.Fatal(err)
	}
	loss, err := s.Loss(in)
	if err != nil {
		t.Fatal(err)
	}
	return float64(loss)
}

// largest returns the largest magnitude of x.
func largest(x []float32) float64 {
	m := 0.0
	for _, v := range x {
		m = max(m, math.Abs(float64(v)))
	}
	return m
}

// furthest returns the largest magnitude of a - b; what cannot be compared is
// infinitely far.
func furthest(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
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
