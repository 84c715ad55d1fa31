package methods_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carillon/backend"
	"carillon/feature"
	"carillon/job"
	"carillon/model"
)

// takeFeature takes method feature through what of the list is for it: nothing in the
// model is trained, and what stands on top of it is fitted, not stepped.
func takeFeature(t *testing.T, f family, be *backend.Backend) {
	spec := job.Spec{Method: "feature", Feature: &job.Feature{Pooling: "mean", Classifier: "logistic"}, BaseModel: f.dir(), TaskType: job.SeqCls, Labels: classes, Seed: 42}
	m := load(t, be, f.dir())
	if _, err := m.Train(job.Spec{Method: "feature"}); err == nil || !strings.Contains(err.Error(), "trains nothing") {
		t.Errorf("error %v, want one that says that nothing is trained", err)
	}
	f.task, f.labels = job.SeqCls, classes
	data, dir := f.examples(t, m.Config().Vocab), t.TempDir()
	fit := func(out string) (feature.Result, string) {
		spec.OutputDir, spec.Store = filepath.Join(dir, out), filepath.Join(dir, out, "store")
		source, err := feature.OpenSet(be, spec, data, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer source.Close()
		r, err := source.Train(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		weights, err := os.ReadFile(filepath.Join(r.Export, "feature.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		return r, string(weights)
	}
	first, weights := fit("one")
	if first.Encoded != data.Len() || !(first.TrainLoss < math.Log(3)) || first.Trainable%len(classes) != 0 {
		t.Errorf("%d examples read, loss %v, %d trained numbers", first.Encoded, first.TrainLoss, first.Trainable)
	}
	if r, again := fit("one"); r.Encoded != 0 || again != weights {
		t.Errorf("from the cache: %d examples read, and the same classifier is %v", r.Encoded, again == weights)
	}
	if r, elsewhere := fit("two"); r.Encoded != data.Len() || elsewhere != weights {
		t.Errorf("in another place: %d examples read, and the same classifier is %v", r.Encoded, elsewhere == weights)
	}
	if hash, err := model.HashDir(f.dir(), model.Options{}); err != nil || hash != m.Hash() {
		t.Errorf("the base's hash was %x and is %x (%v)", m.Hash(), hash, err)
	}
}
