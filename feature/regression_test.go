package feature

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carillon/backend/backendtest"
	"carillon/job"
)

// numbers makes a recipe's data texts with numbers: how long they are.
func numbers(t *testing.T, dir string, spec job.Spec) job.Spec {
	t.Helper()
	var lines strings.Builder
	for i := range 72 {
		n := 1 + i%7
		fmt.Fprintf(&lines, `{"text": "%s", "label": %d.5}`+"\n", strings.Repeat("bell ", n)+fmt.Sprint(i), n)
	}
	path := filepath.Join(dir, "numbers.jsonl")
	if err := os.WriteFile(path, []byte(lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	spec.Datasets, spec.TaskType = []job.Dataset{{Path: path, Type: "regression"}}, job.Regression
	return spec
}

func TestARidgeRegressionIsFittedAndReadBack(t *testing.T) {
	be := backendtest.Go(t)
	dir := t.TempDir()
	spec := numbers(t, dir, recipe(t, be, dir, ""))
	r, calls := train(t, be, spec)
	if calls == 0 || r.Classifier != "ridge" || r.Task != job.Regression || r.Accuracy != 0 || r.Loss > 1 || r.Validated > 1 {
		t.Fatalf("%+v; want a ridge regression with a squared error well below the numbers' variance, 4", r)
	}
	again, calls := train(t, be, spec)
	if calls != 0 || again.Loss != r.Loss {
		t.Errorf("again: %d batches, %+v", calls, again)
	}
	got, err := HeldOut(t.Context(), be, r.Export, spec, nil)
	if err != nil || got.Task != job.Regression || got.Mean() != r.Loss || got.Examples != int64(r.HeldOut) {
		t.Errorf("%+v with mean %v (%v), want %v", got, got.Mean(), err, r.Loss)
	}
	spec.Feature = &job.Feature{Pooling: "mean", Classifier: "mlp"}
	if _, err := Train(t.Context(), be, spec, nil); err == nil || !strings.Contains(err.Error(), "ridge regression for numbers") {
		t.Errorf("mlp: %v", err)
	}
}
