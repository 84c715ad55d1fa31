package methods_test

import (
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"carillon/checkpoint"
	"carillon/export"
	"carillon/job"
	"carillon/model"
	"carillon/objstore"
	"carillon/safetensors"
	"carillon/train"
)

// checkExport writes what the job has learnt as the method's library has it, and
// compares what the model says with it read back, and merged.
func (r row) checkExport(t *testing.T, s *model.Session, end train.State) {
	t.Helper()
	if err := s.Upload(end.W); err != nil {
		t.Fatal(err)
	}
	want, out := r.outputs(t, s), filepath.Join(t.TempDir(), "out")
	if _, err := export.FromStore(t.Context(), r.store(t, s, end), "j", out, ""); err != nil {
		t.Fatal(err)
	}
	if export.MakesModel(r.spec) {
		compare(t, "read back", r.modelIn(t, out), want, 0)
		return
	}
	info, tensors, err := export.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	within := 0.0
	if r.variant.name == "prefix-projection" { // the prefix is written, not its network
		within = logitsTolerance
	}
	compare(t, "read back", r.outputs(t, r.adapted(t, info.Spec, tensors)), want, within)
	r.checkMerge(t, out, want)
}

// modelIn is what the model in a directory says.
func (r row) modelIn(t *testing.T, dir string) []float32 {
	t.Helper()
	return r.outputs(t, start(t, load(t, r.backend, dir), job.Spec{Method: "full"}))
}

// checkMerge merges an adapter, or wants to hear why it cannot be.
func (r row) checkMerge(t *testing.T, adapter string, want []float32) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "merged")
	switch _, err := export.Merge(out, r.dir(), adapter); {
	case r.merges && err != nil:
		t.Error(err)
	case r.merges:
		compare(t, "merged", r.modelIn(t, out), want, logitsTolerance)
	case err == nil || !strings.Contains(err.Error(), "is no part of the weights"):
		t.Errorf("merge: %v, want a reason why not", err)
	}
}

// adapted is the base with an adapter's tensors in it: all of them, and no others.
func (r row) adapted(t *testing.T, spec job.Spec, tensors []safetensors.Tensor) *model.Session {
	t.Helper()
	s := start(t, r.model, spec)
	flat := make([]float32, s.Size())
	for _, p := range s.Params() {
		i := slices.IndexFunc(tensors, func(x safetensors.Tensor) bool { return x.Name == p.Name })
		if i < 0 {
			t.Fatalf("%s is not in the adapter", p.Name)
		}
		copy(flat[p.Offset:], tensors[i].Data)
	}
	if len(tensors) != len(s.Params()) {
		t.Errorf("%d tensors for %d trainables", len(tensors), len(s.Params()))
	}
	if err := s.Upload(flat); err != nil {
		t.Fatal(err)
	}
	return s
}

// store has the job's checkpoint in it.
func (r row) store(t *testing.T, s *model.Session, end train.State) objstore.Store {
	t.Helper()
	spec, err := json.Marshal(r.spec)
	if err != nil {
		t.Fatal(err)
	}
	m := checkpoint.Manifest{Job: "j", Step: end.Step, Digest: hex.EncodeToString(end.Digest[:]), Updates: end.Updates, Spec: spec}
	for _, p := range s.Params() {
		m.Params = append(m.Params, checkpoint.Param{Name: p.Name, Shape: p.Shape})
	}
	store, data := &objstore.Mem{}, checkpoint.EncodeState(nil, end.W, end.M, end.V, end.Updates)
	sum, err := checkpoint.PutChunk(t.Context(), store, m.Job, m.Generation, m.Step, data)
	if err != nil {
		t.Fatal(err)
	}
	m.Size, m.Chunks = int64(len(data)), []checkpoint.Chunk{{SHA256: sum, Size: int64(len(data))}}
	head, err := checkpoint.Claim(t.Context(), store, m.Job, 1)
	if err == nil {
		_, err = checkpoint.Commit(t.Context(), store, head, m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return store
}
