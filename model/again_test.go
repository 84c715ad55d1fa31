package model

import (
	"testing"

	"carillon/backend"
	"carillon/backend/backendtest"
	"carillon/job"
	"carillon/methods"
	"carillon/model/nn"
)

// Blocks that are computed again for their gradients give the numbers of the
// reference, whatever is trained and wherever it enters.
func TestBlocksComputedAgainHaveTheSameGradient(t *testing.T) {
	for _, tt := range []struct {
		model, fixture string
		method         nn.Method
		xla            bool
	}{
		{"gpt2", "base", methods.Full{}, false},
		{"gpt2", "lora", loraCase, true},
		{"gpt2", "prefix", methods.Prefix{N: 4, Init: "zero"}, false}, // one tensor for all blocks
		{"llama", "base", methods.Full{}, false},
		{"t5", "base", methods.Full{}, false},
		{"t5", "prefix", methods.Prefix{N: 4, Init: "zero"}, false},
		{"bert-cls", "base", methods.Full{}, false},
		{"bert-cls", "prefix", methods.Prefix{N: 4, Init: "zero"}, false},
	} {
		t.Run(tt.model+"/"+tt.fixture, func(t *testing.T) {
			backendtest.Each(t, func(t *testing.T, be *backend.Backend) {
				if !tt.xla && be.Kind() != backend.Go {
					t.Skip("another case is on XLA")
				}
				want, in := openFixture(t, tt.model+"/"+tt.fixture), openFixture(t, tt.model+"/base").batch()
				m := openModel(t, be, tt.model)
				again := ownTask(m.arch)
				again.again = true
				s := startTask(t, m, tt.method, again)
				if err := s.Upload(want.initial(s)); err != nil {
					t.Fatal(err)
				}
				checkGradient(t, s, in, want)
			})
		})
	}
}

// The second time a block draws the dropout that it drew the first time.
func TestBlocksComputedAgainHaveTheSameDropout(t *testing.T) {
	m := openModel(t, backendtest.Go(t), "gpt2")
	in, key := openFixture(t, "gpt2/base").batch(), job.Key{3, 4}
	lora := loraOf(job.LoRA{R: 4, LoraAlpha: 8, LoraDropout: 0.3, TargetModules: []string{methods.AllLinear}})
	var grads [2][]float32
	for i, again := range []bool{false, true} {
		s := startTask(t, m, lora, task{name: job.CausalLM, again: again})
		if err := s.Upload(s.probeWeights(key)); err != nil {
			t.Fatal(err)
		}
		grads[i] = make([]float32, s.Size())
		if _, err := s.Gradient(in, key, grads[i]); err != nil {
			t.Fatal(err)
		}
	}
	if d := furthest(grads[0], grads[1]); largest(grads[0]) == 0 || d > 1e-6*largest(grads[0]) {
		t.Errorf("gradients differ by %v of at most %v", d, largest(grads[0]))
	}
}
