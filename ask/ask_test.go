package ask_test

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"carillon/ask"
	"carillon/ask/asktest"
	"carillon/backend"
	"carillon/backend/backendtest"
	"carillon/export"
	"carillon/job"
	"carillon/shard"
)

// tiny makes a base model and an adapter of it.
func tiny(t *testing.T) (be *backend.Backend, base, adapter string) {
	t.Helper()
	be, dir := backendtest.Go(t), t.TempDir()
	base, adapter = filepath.Join(dir, "base"), filepath.Join(dir, "adapter")
	if err := errors.Join(asktest.Base(be, base), asktest.Adapter(be, base, adapter)); err != nil {
		t.Fatal(err)
	}
	return be, base, adapter
}

func open(t *testing.T, be *backend.Backend, base, adapter string, spec job.Spec) *ask.Asker {
	t.Helper()
	a, err := ask.Open(t.Context(), be, base, adapter, spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close() })
	return a
}

// recipe is a job on a file of pairs, three of which are held out.
func recipe(t *testing.T, base string) job.Spec {
	t.Helper()
	var lines strings.Builder
	for _, word := range []string{"one", "two", "three", "four", "five", "six"} {
		lines.WriteString(`{"prompt": "ring ` + word + `", "completion": " bells ` + word + `"}` + "\n")
	}
	return recipeOf(t, base, lines.String())
}

// recipeOf is a job on some lines of JSON, three of which are held out.
func recipeOf(t *testing.T, base, lines string) job.Spec {
	t.Helper()
	data := filepath.Join(t.TempDir(), "data.jsonl")
	if err := os.WriteFile(data, []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	spec, err := job.Parse("tiny.yaml", []byte("base_model: "+base+"\nmethod: lora\ndatasets: [{path: "+data+"}]\nval_set_size: 3\nsequence_len: 48\nmicro_batch_size: 2\nmax_steps: 1\n"))
	if err != nil {
		t.Fatal(err)
	}
	_, spec, err = ask.Read(t.Context(), spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

// data is the data set of a recipe in the model's tokens.
func data(t *testing.T, a *ask.Asker, spec job.Spec) *shard.Set {
	t.Helper()
	r, spec, err := ask.Read(t.Context(), spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	set, err := a.Data(t.Context(), r, spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	return set
}

func heldOut(t *testing.T, a *ask.Asker, spec job.Spec) ask.Loss {
	t.Helper()
	loss, err := a.HeldOut(t.Context(), data(t, a, spec), shard.PlanOf(spec), nil)
	if err != nil {
		t.Fatal(err)
	}
	return loss
}

func TestOneSessionServesBaseAndAdapter(t *testing.T) {
	be, base, adapter := tiny(t)
	spec := recipe(t, base)
	alone := heldOut(t, open(t, be, "", "", spec), spec)
	a := open(t, be, "", adapter, spec)
	tuned := heldOut(t, a, spec)
	if tuned == alone {
		t.Errorf("the adapter changes nothing: %+v", tuned)
	}
	_, tensors, err := export.Open(adapter)
	if err != nil {
		t.Fatal(err)
	}
	if err := a.SetTrainables(nil); err != nil {
		t.Fatal(err)
	}
	if got := heldOut(t, a, spec); got.Tokens != alone.Tokens || math.Abs(got.Sum-alone.Sum) > 1e-4 {
		t.Errorf("without the adapter: %+v, want the base's %+v", got, alone)
	}
	if err := a.SetTrainables(tensors); err != nil {
		t.Fatal(err)
	}
	if got := heldOut(t, a, spec); got != tuned {
		t.Errorf("with the adapter again: %+v, want %+v", got, tuned)
	}
}

func TestLossOfARandomModelIsThatOfGuessing(t *testing.T) {
	be, base, _ := tiny(t)
	spec := recipe(t, base)
	loss := heldOut(t, open(t, be, "", "", spec), spec)
	if loss.Examples != 3 || math.Abs(loss.Mean()-math.Log(asktest.Vocab)) > 0.2 {
		t.Errorf("%+v: mean %v, want 3 examples and about ln %d", loss, loss.Mean(), asktest.Vocab)
	}
	// Each completion is predicted whole, and an end of text of no bytes after it.
	if loss.Bytes < 3*int64(len(" bells one")) || loss.Bytes > 3*int64(len(" bells three")) {
		t.Errorf("%d bytes predicted, want those of three completions", loss.Bytes)
	}
	if got, want := loss.BitsPerByte(), loss.Sum/float64(loss.Bytes)*math.Log2E; math.Abs(got-want) > 1e-12 {
		t.Errorf("bits per byte %v, want %v", got, want)
	}
}

func TestNothingHeldOutIsAnError(t *testing.T) {
	be, base, _ := tiny(t)
	spec := recipe(t, base)
	spec.ValSetSize = 0
	a := open(t, be, "", "", spec)
	if _, err := a.HeldOut(t.Context(), data(t, a, spec), shard.PlanOf(spec), nil); !errors.Is(err, ask.ErrNothingHeldOut) {
		t.Errorf("got %v, want %v", err, ask.ErrNothingHeldOut)
	}
}

func TestCompleteDoesNotDependOnTheOtherPrompts(t *testing.T) {
	be, base, adapter := tiny(t)
	a := open(t, be, base, adapter, job.Spec{})
	prompts := slices.Repeat([]string{"the bell", "rings"}, 9) // more than a batch
	texts, err := a.Complete(t.Context(), prompts, 6)
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range texts {
		if text != texts[i%2] {
			t.Errorf("prompt %d %q goes on with %q, before with %q", i, prompts[i], text, texts[i%2])
		}
	}
	if _, err := a.Complete(t.Context(), []string{strings.Repeat("zq", 40)}, 6); err == nil || !strings.Contains(err.Error(), "context of 64") {
		t.Errorf("a prompt longer than the context: %v", err)
	}
}

func TestTensorsThatDoNotFitAreNamed(t *testing.T) {
	be, base, adapter := tiny(t)
	a := open(t, be, base, adapter, job.Spec{})
	_, tensors, err := export.Open(adapter)
	if err != nil {
		t.Fatal(err)
	}
	missing, name := tensors[1:], tensors[0].Name
	extra := slices.Clone(tensors)
	extra[0].Name = "other.weight"
	shape := slices.Clone(tensors)
	shape[0].Shape = []int{1, 1}
	if err := a.SetTrainables(missing); err == nil || !strings.Contains(err.Error(), name+" is missing") {
		t.Errorf("missing: %v", err)
	}
	if err := a.SetTrainables(extra); err == nil || !strings.Contains(err.Error(), "other.weight is not of this model") {
		t.Errorf("superfluous: %v", err)
	}
	if err := a.SetTrainables(shape); err == nil || !strings.Contains(err.Error(), name+" is [1 1], want [") {
		t.Errorf("shape: %v", err)
	}
}
