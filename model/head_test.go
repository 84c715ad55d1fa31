package model

import (
	"math"
	"slices"
	"testing"

	"carillon/backend"
	"carillon/backend/backendtest"
	"carillon/job"
)

// The gradient of the output layer, of states that were computed before, is that of
// the whole model; so is the loss. One model has an output layer of its own.
func TestAnOutputLayerIsTrainedOnStates(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, be *backend.Backend) { checkHead(t, be, "gpt2") })
	for _, name := range []string{"llama", "t5", "t5-v1_1"} {
		t.Run(name, func(t *testing.T) { checkHead(t, backendtest.Go(t), name) })
	}
}

func checkHead(t *testing.T, be *backend.Backend, name string) {
	m := openModel(t, be, name)
	s, err := m.Train(job.Spec{Method: "feature", Feature: &job.Feature{}, TaskType: languageTask(m.arch)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if p := s.Params(); len(p) != 1 || p[0].Name != "lm_head.weight" {
		t.Fatalf("%v is trained", p)
	}
	in := openFixture(t, name+"/prompt").batch()
	states, err := s.States(in)
	if err != nil {
		t.Fatal(err)
	}
	next := slices.Clone(in.Targets) // of a decoder: what each place says
	for i := range in.Labels {
		if i%in.Len == in.Len-1 {
			next = append(next, -100)
		} else {
			next = append(next, in.Labels[i+1])
		}
	}
	got, want := make([]float32, s.Size()), make([]float32, s.Size())
	loss, err := s.HeadGradient(states, next, got)
	if err != nil {
		t.Fatal(err)
	}
	whole, err := s.Gradient(in, job.Key{}, want)
	if err != nil || math.Abs(float64(loss-whole)) > 1e-5*float64(whole) {
		t.Errorf("loss %v of states, %v of the model (%v)", loss, whole, err)
	}
	most := 0.0
	for i := range want {
		most = max(most, math.Abs(float64(want[i])))
	}
	for i := range want {
		if math.Abs(float64(got[i]-want[i])) > 1e-4*most {
			t.Fatalf("element %d of the gradient is %v of states, %v of the model", i, got[i], want[i])
		}
	}
}
