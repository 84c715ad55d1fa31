package model

import (
	"math"
	"strings"
	"testing"

	"carillon/backend"
	"carillon/backend/backendtest"
	"carillon/job"
	"carillon/methods"
	"carillon/model/nn"
)

// Products of rounded factors are off by what the rounding takes, 2^-9 of each, and
// not by what a wrong gradient would be.
func TestHalvesAreNearTheReference(t *testing.T) {
	for _, tt := range []struct {
		model, fixture string
		method         nn.Method
		again, xla     bool
	}{
		{"gpt2", "base", methods.Full{}, false, false},
		{"gpt2", "lora", loraCase, true, true},
		{"llama", "base", methods.Full{}, true, false},
		{"llama-bf16", "base", methods.Full{}, false, false},
	} {
		t.Run(tt.model+"/"+tt.fixture, func(t *testing.T) {
			backendtest.Each(t, func(t *testing.T, be *backend.Backend) {
				if !tt.xla && be.Kind() != backend.Go {
					t.Skip("another case is on XLA")
				}
				want, in := openFixture(t, tt.model+"/"+tt.fixture), openFixture(t, tt.model+"/base").batch()
				s := startTask(t, openModel(t, be, tt.model), tt.method, task{name: job.CausalLM, half: true, again: tt.again})
				if err := s.Upload(want.initial(s)); err != nil {
					t.Fatal(err)
				}
				checkNear(t, s, in, want)
			})
		})
	}
}

// checkNear compares loss and gradient, each tensor as a whole.
func checkNear(t *testing.T, s *Session, in Input, want fixture) {
	t.Helper()
	grad := make([]float32, s.Size())
	loss, err := s.Gradient(in, job.Key{}, grad)
	if err != nil {
		t.Fatal(err)
	}
	if d := math.Abs(float64(loss)/want.facts.LossSum - 1); d == 0 || d > 2e-3 {
		t.Errorf("loss %v, want %v but for rounding (off by %.2g)", loss, want.facts.LossSum, d)
	}
	for _, p := range s.Params() {
		if !want.has("grad/" + p.Name) {
			continue
		}
		ref := want.floats("grad/" + p.Name)
		got := want.withoutNoise(p.Name, grad[p.Offset:][:len(ref)], ref)
		var far, size float64
		for i, r := range ref {
			far += math.Pow(float64(got[i]-r), 2)
			size += math.Pow(float64(r), 2)
		}
		if far := math.Sqrt(far / size); far > 0.02 {
			t.Errorf("gradient of %s is off by %.2g", p.Name, far)
		}
	}
}

// Weights that nobody trains and only products use lie on the device in half the
// memory, and others as they are.
func TestFrozenFactorsAreHeldRounded(t *testing.T) {
	m := openModel(t, backendtest.Go(t), "llama")
	s := startTask(t, m, loraOf(job.LoRA{R: 2, LoraAlpha: 4, TargetModules: []string{"q_proj"}}), task{name: job.CausalLM, half: true})
	for at := range m.buffers {
		shape, err := m.buffers[at].Shape()
		if err != nil {
			t.Fatal(err)
		}
		if half := shape.DType.Size() == 2; half != strings.Contains(at.name, "_proj.weight") {
			t.Errorf("%s is held as %v", at.name, shape)
		}
	}
	if len(m.buffers) == 0 || s.Size() == 0 {
		t.Error("nothing is held")
	}
}

func TestHalvesAreForGPUs(t *testing.T) {
	_, err := openModel(t, backendtest.Go(t), "gpt2").Train(job.Spec{Method: "full", BF16: true})
	if err == nil || !strings.Contains(err.Error(), "bf16 is true, and the backend is go") {
		t.Errorf("error %v, want one that names bf16 and the backend", err)
	}
}
