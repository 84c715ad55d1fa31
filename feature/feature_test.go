package feature

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"carillon/ask"
	"carillon/ask/asktest"
	"carillon/backend"
	"carillon/backend/backendtest"
	"carillon/job"
	"carillon/model"
	"carillon/shard"
)

// recipe is a job on texts of three kinds, 60 to train on and 12 held out, of a
// tiny model in dir/base.
func recipe(t *testing.T, be *backend.Backend, dir, section string) job.Spec {
	t.Helper()
	return recipeOf(t, be, dir, 72, section)
}

// recipeOf is recipe with another number of examples.
func recipeOf(t *testing.T, be *backend.Backend, dir string, examples int, section string) job.Spec {
	t.Helper()
	base, data := filepath.Join(dir, "base"), filepath.Join(dir, "data.jsonl")
	var lines strings.Builder
	for i := range examples {
		word := []string{"ring", "bell", "morning"}[i%3]
		fmt.Fprintf(&lines, `{"text": "%s", "label": "%s"}`+"\n", strings.Repeat(word+" ", 1+i%7), word)
	}
	if err := errors.Join(asktest.Base(be, base), os.WriteFile(data, []byte(lines.String()), 0o644)); err != nil {
		t.Fatal(err)
	}
	spec, err := job.Parse("tiny.yaml", fmt.Appendf(nil, "base_model: %s\nmethod: feature\ndatasets: [{path: %s}]\nval_set_size: 12\nsequence_len: 48\noutput_dir: %s\n%s\n", base, data, filepath.Join(dir, "out"), section))
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// counter is an encoder that counts what it is asked.
type counter struct {
	Encoder
	calls int
}

func (c *counter) Features(in model.Input) ([]float32, error) {
	c.calls++
	return c.Encoder.Features(in)
}

// train is Train that counts the encoder's batches.
func train(t *testing.T, be *backend.Backend, spec job.Spec) (Result, int) {
	t.Helper()
	s, err := Open(t.Context(), be, spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, load := &counter{}, s.load
	s.load = func() (_ Encoder, err error) { c.Encoder, err = load(); return c, err }
	r, err := s.Train(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return r, c.calls
}

func TestASecondRunReadsNothing(t *testing.T) {
	be := backendtest.Go(t)
	spec := recipe(t, be, t.TempDir(), "")
	first, calls := train(t, be, spec)
	if calls == 0 || first.Encoded != 72 || first.Accuracy < 0.9 {
		t.Fatalf("%d batches, %+v; want 72 examples read, and most told right", calls, first)
	}
	weights := read(t, filepath.Join(first.Export, weightsFile))
	again, calls := train(t, be, spec)
	if calls != 0 || again.Encoded != 0 || !slices.Equal(weights, read(t, filepath.Join(again.Export, weightsFile))) {
		t.Errorf("again: %d batches, %+v; want none, and the same weights", calls, again)
	}
	if err := errors.Join(spec.Set("feature.classifier", "mlp"), spec.Set("feature.hidden_size", "8")); err != nil {
		t.Fatal(err)
	}
	if r, calls := train(t, be, spec); calls != 0 || r.Accuracy < 0.9 {
		t.Errorf("with an mlp: %d batches, %+v; want none, and most told right", calls, r)
	}
	if err := spec.Set("feature.pooling", "last"); err != nil {
		t.Fatal(err)
	}
	if _, calls := train(t, be, spec); calls == 0 {
		t.Error("another pooling took the vectors of the first")
	}
}

func TestTheSameBits(t *testing.T) {
	be := backendtest.Go(t)
	for _, section := range []string{"", "feature: {classifier: mlp, hidden_size: 5}"} {
		var files [][]byte
		for range 2 {
			r, _ := train(t, be, recipe(t, be, t.TempDir(), section))
			files = append(files, read(t, filepath.Join(r.Export, weightsFile)))
		}
		if !slices.Equal(files[0], files[1]) {
			t.Errorf("%q: another directory gives other weights", section)
		}
	}
}

// What was saved says what was reported, and of the same vectors.
func TestAClassifierIsReadBack(t *testing.T) {
	be := backendtest.Go(t)
	for _, section := range []string{"feature: {pooling: cls}", "feature: {classifier: mlp, hidden_size: 8}"} {
		spec := recipe(t, be, t.TempDir(), section)
		r, _ := train(t, be, spec)
		got, err := HeldOut(t.Context(), be, r.Export, spec, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := ask.Loss{Task: job.SeqCls, Sum: got.Sum, Tokens: int64(r.HeldOut), Examples: int64(r.HeldOut), Right: int64(math.Round(float64(r.HeldOut) * r.Accuracy))}
		if got != want || got.Mean() != r.Loss {
			t.Errorf("%s: %+v with mean %v, want %+v with %v", section, got, got.Mean(), want, r.Loss)
		}
		c, err := load(r.Export)
		if err != nil || !Is(r.Export) || c.size() != r.Trainable || !slices.Equal(c.Labels, []string{"bell", "morning", "ring"}) {
			t.Errorf("%s: %+v (%v)", section, c, err)
		}
	}
}

// What is held out alone is read where the rest is not needed.
func TestAnotherRecipesDataIsReadWhereItIsNeeded(t *testing.T) {
	be := backendtest.Go(t)
	spec := recipe(t, be, t.TempDir(), "")
	r, _ := train(t, be, spec)
	spec.Store = filepath.Join(t.TempDir(), "elsewhere")
	if got, err := HeldOut(t.Context(), be, r.Export, spec, nil); err != nil || got.Mean() != r.Loss {
		t.Errorf("%+v (%v), want a mean of %v", got, err, r.Loss)
	}
}

func TestItIsRefused(t *testing.T) {
	be := backendtest.Go(t)
	dir := t.TempDir()
	spec := recipe(t, be, dir, "")
	if err := suits(job.Spec{TaskType: job.MaskedLM, Feature: &job.Feature{}}); err == nil || !strings.Contains(err.Error(), "task_type masked_lm; want seq_cls, regression, causal_lm or seq2seq_lm, or method lora") {
		t.Errorf("hidden words: %v", err)
	}
	if err := suits(job.Spec{TaskType: job.CausalLM, Feature: &job.Feature{Classifier: "mlp"}}); err == nil || !strings.Contains(err.Error(), "the output layer for text") {
		t.Errorf("mlp: %v", err)
	}
	r, _ := train(t, be, spec)
	other := spec
	other.BaseModel = filepath.Join(t.TempDir(), "other")
	if err := asktest.Make(be, other.BaseModel, strings.Replace(`{"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 260, "n_embd": 8, "n_head": 2,
"n_layer": 1, "n_positions": 64, "n_inner": null, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-05,
"initializer_range": 0.02, "tie_word_embeddings": true, "bos_token_id": 259, "eos_token_id": 259}`, "\n", " ", -1), 260); err != nil {
		t.Fatal(err)
	}
	if _, err := HeldOut(t.Context(), be, r.Export, other, nil); err == nil || !strings.Contains(err.Error(), "is for the base model") {
		t.Errorf("another base: %v", err)
	}
	if err := os.WriteFile(filepath.Join(r.Export, factsFile), []byte(`{"format": 9}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := HeldOut(t.Context(), be, r.Export, spec, nil); err == nil || !strings.Contains(err.Error(), "format 9") {
		t.Errorf("another format: %v", err)
	}
}

// Two texts of a pair are two parts, and the longest texts stand in the first batch.
func TestBatches(t *testing.T) {
	be := backendtest.Go(t)
	s, err := Open(t.Context(), be, recipe(t, be, t.TempDir(), ""), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for n, want := range map[int]int{1: 8, 8: 8, 9: 16, 17: 24, 25: 32, 33: 48, 49: 64, 100: 128, 400: 512} {
		if got := padded(n); got != want {
			t.Errorf("%d tokens are padded to %d, want %d", n, got, want)
		}
	}
	x := s.example(0)
	x.Starts = []int32{1}
	in := inputOf([]shard.Example{x}, []int{0}, 2, len(x.Tokens)+1)
	want := append([]int32{1}, slices.Repeat([]int32{2}, len(x.Tokens)-1)...)
	if !reflect.DeepEqual(in.Mask[:len(x.Tokens)], want) || in.Mask[len(x.Tokens)] != 0 || slices.Max(in.Mask[in.Len:]) != 0 {
		t.Errorf("mask %v of %v", in.Mask, x)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.encode(ctx, 0, 3); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
