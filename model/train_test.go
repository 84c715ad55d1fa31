package model

import (
	"math"
	"strings"
	"testing"

	"carillon/backend"
	"carillon/backend/backendtest"
	"carillon/job"
	"carillon/methods"
	"carillon/optim"
)

// checkFinal compares weights after five steps.
func checkFinal(t *testing.T, s *Session, w []float32, want fixture) {
	t.Helper()
	for _, p := range s.Params() {
		ref := want.floats("final/" + p.Name)
		got := want.withoutNoise(p.Name, w[p.Offset:][:len(ref)], ref)
		if d := furthest(got, ref); d > finalTolerance {
			t.Errorf("%s is off by %.2g after five steps", p.Name, d)
		}
	}
}

// trainFive makes the fixture's steps on a batch, and returns the weights.
func trainFive(t *testing.T, s *Session, in Input, want fixture) []float32 {
	t.Helper()
	tokens := want.facts.Tokens
	w, g := want.initial(s), make([]float32, s.Size())
	m, v := make([]float32, s.Size()), make([]float32, s.Size())
	adam := optim.AdamW{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, WeightDecay: 0.01, Groups: []optim.Group{{From: 0, To: s.Size(), Decay: true}}}
	near := func(what string, got, ref, tolerance float64) {
		if math.Abs(got-ref) > tolerance*ref {
			t.Errorf("%s %v, want %v", what, got, ref)
		}
	}
	facts := want.facts.Train
	for step, lr := range facts.LR {
		if err := s.Upload(w); err != nil {
			t.Fatal(err)
		}
		loss, err := s.Gradient(in, job.Key{}, g)
		if err != nil {
			t.Fatal(err)
		}
		near("loss", float64(loss)/float64(tokens), facts.Loss[step], stepLossTolerance)
		mean := optim.NewMean(len(g), tokens)
		mean.Divide(0, g)
		norm := mean.Norm()
		near("gradient norm", norm, facts.GradNorm[step], normTolerance)
		adam.UpdateAll(w, g, m, v, uint64(step), lr, optim.ClipFactor(norm, 1))
	}
	if err := s.Upload(w); err != nil {
		t.Fatal(err)
	}
	loss, err := s.Loss(in)
	if err != nil {
		t.Fatal(err)
	}
	near("loss after the last step", float64(loss)/float64(tokens), facts.LossAfter, stepLossTolerance)
	return w
}

// The same input gives the same bits: again, in another session, and beside
// other calls.
func TestGradientsRepeatBitForBit(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, be *backend.Backend) {
		method := loraOf(job.LoRA{R: 4, LoraAlpha: 8, LoraDropout: 0.3, TargetModules: []string{"c_attn"}})
		in, key := openFixture(t, "base").batch(), job.NewKey(1, job.ForDropout, 2, 3)
		s := startSession(t, openModel(t, be, "gpt2"), method)
		if err := s.Upload(openFixture(t, "lora").initial(s)); err != nil {
			t.Fatal(err)
		}
		run := func(key job.Key) (string, error) {
			grad := make([]float32, s.Size())
			loss, err := s.Gradient(in, key, grad)
			return bits(append(grad, loss)), err
		}
		want, err := run(key)
		if err != nil {
			t.Fatal(err)
		}
		checkTogether(t, func() (string, error) { return run(key) }, want)
		if other, _ := run(job.NewKey(1, job.ForDropout, 2, 4)); other == want {
			t.Error("another dropout key gives the same gradient")
		}
		loss, err := s.Loss(in)
		if err != nil || math.Abs(float64(loss)-162.679270) > 1e-3 {
			t.Errorf("loss without dropout %v, %v; want 162.679", loss, err)
		}
	})
}

// checkTogether makes several calls at once, which must all return want.
func checkTogether(t *testing.T, call func() (string, error), want string) {
	t.Helper()
	got := make(chan string)
	for range 4 {
		go func() {
			x, err := call()
			if err != nil {
				x = err.Error()
			}
			got <- x
		}()
	}
	for range 4 {
		if x := <-got; x != want {
			t.Error("a call beside others gave other bits")
		}
	}
}

func bits(x []float32) string {
	var b strings.Builder
	for _, v := range x {
		w := math.Float32bits(v)
		b.Write([]byte{byte(w), byte(w >> 8), byte(w >> 16), byte(w >> 24)})
	}
	return b.String()
}

func TestProbeRepeatsAndLeavesNoTrace(t *testing.T) {
	be := backendtest.Go(t)
	s := startSession(t, openModel(t, be, "gpt2"), loraCase)
	if err := s.Warm(2, 16, 0); err != nil {
		t.Fatal(err)
	}
	a, err := s.Probe(2, 16, 0, 7)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := startSession(t, openModel(t, be, "gpt2"), loraCase).Probe(2, 16, 0, 7); err != nil || b != a {
		t.Errorf("the same probe gives %x and %x, %v", a, b, err)
	}
	if b, err := s.Probe(2, 16, 0, 8); err != nil || b == a {
		t.Errorf("another seed gives the same probe, %v", err)
	}
	flat := s.Initial()
	for _, p := range s.Params() {
		got, err := s.ReadBack(p.Name)
		if err != nil || furthest(got, flat[p.Offset:][:len(got)]) != 0 {
			t.Errorf("after the probe %s is not as it was, %v", p.Name, err)
		}
	}
}

// Noise on the embeddings changes a gradient, by its key, and no loss.
func TestNoiseIsForGradientsAlone(t *testing.T) {
	m, in := openModel(t, backendtest.Go(t), "gpt2"), openFixture(t, "base").batch()
	calm, noisy := startSession(t, m, loraCase), startTask(t, m, loraCase, task{name: job.CausalLM, noise: 5})
	losses := func(s *Session, key job.Key) (training, asked float32) {
		training, err := s.Gradient(in, key, make([]float32, s.Size()))
		if err != nil {
			t.Fatal(err)
		}
		if asked, err = s.Loss(in); err != nil {
			t.Fatal(err)
		}
		return training, asked
	}
	want, _ := losses(calm, job.Key{1, 2})
	first, asked := losses(noisy, job.Key{1, 2})
	second, _ := losses(noisy, job.Key{1, 3})
	again, _ := losses(noisy, job.Key{1, 2})
	if asked != want || first == want || first == second || first != again {
		t.Errorf("without noise %v; asked with noise %v, trained with it %v, then %v, then %v", want, asked, first, second, again)
	}
}

// A language model's loss by the forward pass alone is that of the gradient's program.
func TestEvaluateGivesTheLoss(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, be *backend.Backend) {
		s := startSession(t, openModel(t, be, "gpt2"), methods.Full{})
		in := openFixture(t, "base").batch()
		want, err := s.Loss(in)
		if err != nil {
			t.Fatal(err)
		}
		got, outputs, err := s.Evaluate(in)
		if err != nil || outputs != nil || math.Abs(float64(got-want)) > 1e-5*float64(want) {
			t.Errorf("%v: loss %v with %d outputs, want %v", err, got, len(outputs), want)
		}
	})
}
