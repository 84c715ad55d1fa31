package feature

import (
	"context"
	"errors"
	"fmt"
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

const layerFile = "adapter_model.safetensors"

// texts makes a recipe's data pairs of a prompt and what to say.
func texts(t *testing.T, be *backend.Backend, pairs int) job.Spec {
	t.Helper()
	dir := t.TempDir()
	spec := recipe(t, be, dir, "")
	var lines strings.Builder
	for i := range pairs {
		fmt.Fprintf(&lines, `{"prompt": "ring %d", "completion": "%s"}`+"\n", i, strings.Repeat("bell ", 1+i%3))
	}
	path := filepath.Join(dir, "pairs.jsonl")
	if err := os.WriteFile(path, []byte(lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	spec.Datasets = []job.Dataset{{Path: path}}
	return spec
}

// answers makes texts those of a model with an encoder and a decoder.
func answers(t *testing.T, be *backend.Backend, pairs int) job.Spec {
	spec := texts(t, be, pairs)
	spec.BaseModel += "-t5"
	if err := asktest.Make(be, spec.BaseModel, asktest.T5, asktest.Vocab); err != nil {
		t.Fatal(err)
	}
	return spec
}

// An output layer is trained on states that are read once, and says what was reported
// where it is asked as any adapter is.
func TestAnOutputLayerIsTrainedAndAsked(t *testing.T) {
	be := backendtest.Go(t)
	t.Run("one stack", func(t *testing.T) { trainAndAsk(t, be, texts(t, be, 60), job.CausalLM) })
	t.Run("encoder and decoder", func(t *testing.T) { trainAndAsk(t, be, answers(t, be, 60), job.Seq2SeqLM) })
}

func trainAndAsk(t *testing.T, be *backend.Backend, spec job.Spec, task string) {
	r, err := Train(t.Context(), be, spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r.Task != task || r.Encoded != r.Rows || r.HeldOut == 0 || !(r.Loss < 0.7*r.BaseLoss) || !(r.TrainLoss < r.BaseLoss) {
		t.Fatalf("%+v; want a loss well below the base's", r)
	}
	weights := read(t, filepath.Join(r.Export, layerFile))
	again, err := Train(t.Context(), be, spec, nil)
	if err != nil || again.Encoded != 0 || !slices.Equal(weights, read(t, filepath.Join(again.Export, layerFile))) {
		t.Errorf("again: %+v (%v); want nothing read, and the same weights", again, err)
	}
	if got := asked(t, be, spec, r.Export); math.Abs(got-r.Loss) > 1e-5 {
		t.Errorf("asked it has a loss of %v, reported was %v", got, r.Loss)
	}
	if a, _, err := export.Open(r.Export); err != nil || a.Spec.TaskType != task {
		t.Errorf("its directory says task %q (%v), want %q", a.Spec.TaskType, err, task)
	}
	if got := asked(t, be, spec, ""); math.Abs(got-r.BaseLoss) > 1e-5 {
		t.Errorf("the base has a loss of %v, reported was %v", got, r.BaseLoss)
	}
}

// asked is the held-out loss of a recipe's base with an adapter.
func asked(t *testing.T, be *backend.Backend, spec job.Spec, adapter string) float64 {
	t.Helper()
	reading, spec, err := ask.Read(t.Context(), spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	if adapter == "" {
		spec = spec.WithMethod(job.Spec{})
	}
	a, err := ask.Open(t.Context(), be, "", adapter, spec)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	set, err := a.Data(t.Context(), reading, spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer set.Close()
	l, err := a.HeldOut(t.Context(), set, shard.PlanOf(spec), nil)
	if err != nil {
		t.Fatal(err)
	}
	return l.Mean()
}

func TestNodesReadTextsTogether(t *testing.T) {
	be := backendtest.Go(t)
	read := func(run func(ctx context.Context, p Part) error) []byte {
		s, err := Open(t.Context(), be, texts(t, be, 60), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		s.spec.Nodes = 2
		s.Spread(run, func(error) {})
		c, _, err := s.vectors(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		return slices.Clone(c.data)
	}
	alone := read(func(context.Context, Part) error { return errors.New("died") })
	if !slices.Equal(alone, read(func(ctx context.Context, p Part) error { return p.do(ctx, backend.Options{Name: backend.Go}) })) {
		t.Error("two nodes give other bits than one")
	}
}

// A text that the end of a block cuts is read for both, and rows are found again.
func TestRowsAreThoseOfTheTokensThatAreLearnt(t *testing.T) {
	be := backendtest.Go(t)
	for _, spec := range []job.Spec{texts(t, be, 20), answers(t, be, 20)} {
		checkRows(t, be, spec)
	}
}

func checkRows(t *testing.T, be *backend.Backend, spec job.Spec) {
	s, err := Open(t.Context(), be, spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	all, err := s.states(t.Context(), 0, s.words.rows())
	if err != nil {
		t.Fatal(err)
	}
	cut := s.words.first[3] + 1
	for _, part := range [][2]int{{0, cut}, {cut, s.words.rows()}} {
		got, err := s.states(t.Context(), part[0], part[1])
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range got {
			if want := all[part[0]*s.facts.Width+i]; math.Abs(float64(x-want)) > 1e-5 {
				t.Fatalf("number %d of rows %v is %v, want %v", i, part, x, want)
			}
		}
	}
}

func TestWhatDoesNotFitIsRefused(t *testing.T) {
	be := backendtest.Go(t)
	s, err := Open(t.Context(), be, texts(t, be, 20), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.room(1 << 10); err == nil || !strings.Contains(err.Error(), "output layer of 260 x 16 numbers") {
		t.Errorf("1 KiB: %v", err)
	}
	if err := errors.Join(s.room(1<<40), s.room(0)); err != nil {
		t.Error(err)
	}
}

// Where nothing is held out every tenth example decides.
func TestSplit(t *testing.T) {
	w := &words{first: []int{0}, labels: make([]int32, 40)}
	for i := range 20 {
		w.first = append(w.first, 2*(i+1))
	}
	w.held = 40
	if train, try := w.split(); !slices.Equal(try, []int{18, 19, 38, 39}) || len(train) != 36 {
		t.Errorf("%v decide", try)
	}
	w.held = 30
	if train, try := w.split(); len(train) != 30 || try[0] != 30 || len(try) != 10 {
		t.Errorf("%v decide", try)
	}
}
