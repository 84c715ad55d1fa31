package model

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"carillon/backend"
	"carillon/backend/backendtest"
	"carillon/job"
	"carillon/methods"
	"carillon/model/nn"
)

// A shape that is measured.
type size struct{ layers, d, heads, vocab, rows, length int }

// randomModel returns a GPT-2 of a size with random weights.
func randomModel(t testing.TB, be *backend.Backend, s size) *Model {
	t.Helper()
	dir := t.TempDir()
	config, err := json.Marshal(map[string]any{
		"model_type": "gpt2", "vocab_size": s.vocab, "n_positions": s.length, "n_embd": s.d, "n_layer": s.layers, "n_head": s.heads,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "config.json"), config, 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := Load(be, dir, Options{ReinitWeights: true, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

// randomInput asks for every token of a batch of random ones.
func randomInput(s *Session, rows, length int) Input {
	in := s.probeInput(job.NewKey(3, job.ForProbe), rows, length, 0)
	for i := range in.Tokens {
		in.Tokens[i] = int32(job.NewKey(2, job.ForProbe).At(uint64(i)) % uint32(s.model.config.Vocab))
		in.Labels[i], in.Mask[i] = in.Tokens[i], 1
	}
	return in
}

// pairs runs a and b in turns and returns the medians of their times and of the
// ratios a/b.
func pairs(n int, a, b func()) (ta, tb time.Duration, ratio float64) {
	var as, bs []time.Duration
	var ratios []float64
	clock := func(f func()) time.Duration {
		start := time.Now()
		f()
		return time.Since(start)
	}
	a()
	b()
	for range n {
		x, y := clock(a), clock(b)
		as, bs, ratios = append(as, x), append(bs, y), append(ratios, float64(x)/float64(y))
	}
	slices.Sort(as)
	slices.Sort(bs)
	slices.Sort(ratios)
	return as[n/2], bs[n/2], ratios[n/2]
}

// BenchmarkGradientAgainstBare measures an uploaded step's gradient beside the
// bare GoMLX program. -benchtime=1x runs 20 interleaved pairs.
func BenchmarkGradientAgainstBare(b *testing.B) {
	be := backendtest.CPU(b)
	shape := size{4, 256, 4, 1000, 8, 128}
	for _, tt := range []struct {
		name   string
		lora   bool
		method nn.Method
	}{
		{"lora", true, loraOf(job.LoRA{R: 8, LoraAlpha: 16, TargetModules: []string{"c_attn"}})},
		{"full", false, methods.Full{}},
	} {
		b.Run(tt.name, func(b *testing.B) {
			bare := newBare(b, be.Compute(), bareGPT{layers: shape.layers, d: shape.d, heads: shape.heads, vocab: shape.vocab, rows: shape.rows, length: shape.length, lora: tt.lora})
			ours := newStep(b, be, shape, tt.method)
			for b.Loop() {
				x, y, ratio := pairs(20, ours, func() { bare.step(b) })
				b.ReportMetric(float64(x.Microseconds())/1000, "ms/step")
				b.ReportMetric(float64(y.Microseconds())/1000, "ms/bare")
				b.ReportMetric(ratio, "of-bare")
			}
		})
	}
}

// newStep returns a function that uploads trainables and takes a gradient.
func newStep(b testing.TB, be *backend.Backend, shape size, method nn.Method) func() {
	m := randomModel(b, be, shape)
	s := startSession(b, m, method)
	in, flat, grad := randomInput(s, shape.rows, shape.length), s.Initial(), make([]float32, s.Size())
	return func() {
		if err := s.Upload(flat); err != nil {
			b.Fatal(err)
		}
		if _, err := s.Gradient(in, job.Key{1, 2}, grad); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkGradient measures shapes that jobs use.
func BenchmarkGradient(b *testing.B) {
	be := backendtest.CPU(b)
	for _, tt := range []struct {
		name   string
		shape  size
		method nn.Method
	}{
		{"demo", size{4, 256, 4, 2048, 2, 64}, loraOf(job.LoRA{R: 8, LoraAlpha: 16, TargetModules: []string{methods.AllLinear}})},
		{"demo-dropout", size{4, 256, 4, 2048, 2, 64}, loraOf(job.LoRA{R: 8, LoraAlpha: 16, LoraDropout: 0.05, TargetModules: []string{methods.AllLinear}})},
		{"base", size{4, 256, 4, 2048, 4, 256}, methods.Full{}},
	} {
		b.Run(fmt.Sprintf("%s-%dx%d", tt.name, tt.shape.rows, tt.shape.length), func(b *testing.B) {
			step := newStep(b, be, tt.shape, tt.method)
			step()
			for b.Loop() {
				step()
			}
		})
	}
}
