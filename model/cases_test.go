package model

import (
	"cmp"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"carillon/backend"
	"carillon/backend/backendtest"
	"carillon/job"
	"carillon/model/nn"
)

// The tolerances of the fixtures' README: about ten times what PyTorch in float32
// differs from the float64 reference.
const (
	logitsTolerance   = 2e-5 // of the largest logit
	lossTolerance     = 2e-6 // of the loss
	exampleTolerance  = 1e-5 // of an example's loss
	gradientTolerance = 3e-5 // of the case's largest gradient
	tensorTolerance   = 1e-4 // of the tensor's own largest gradient
	stepLossTolerance = 1e-5 // of the loss
	normTolerance     = 2e-5 // of the norm
	finalTolerance    = 4e-4 // absolute
)

// allOnXLA, set to 1, runs every case on XLA too, which compiles for some seconds a
// case. Otherwise only one case of each family is, and all are on the Go backend.
const allOnXLA = "CARILLON_FIXTURES_XLA"

// refCase is a case of the fixtures: testdata/cases/<model>/<name>, of the model in
// testdata/<model>.
type refCase struct {
	model, name string
	spec        job.Spec // its method; everything else is what the base model is for
	xla         bool     // on XLA as well: one a family
	dir         string   // of the model, where it is another than testdata/<model>
}

// full is the case of all parameters, or of a base alone.
func full(model, name string) refCase {
	return refCase{model, name, job.Spec{Method: "full"}, false, ""}
}

// onXLA is the case on both backends.
func (c refCase) onXLA() refCase { c.xla = true; return c }

// from is the case with another file of the same model.
func (c refCase) from(dir string) refCase { c.dir = dir; return c }

// cases are all the cases, from each family's or method's list.
func cases() []refCase {
	return slices.Concat(gptCases, loraCases, softCases, bertCases, llamaCases, t5Cases)
}

var gptCases = []refCase{
	full("gpt2", "base").onXLA(), full("gpt2", "base-left"), full("gpt2", "full"), full("gpt2", "base").from("gpt2-bare"),
	full("gpt2", "base").from("gpt2-sharded"), full("gpt2-cls", "base"),
}

// Every number of a case is that of transformers, PEFT or adapters.
func TestCasesAreThoseOfTheReference(t *testing.T) {
	for _, c := range cases() {
		t.Run(cmp.Or(c.dir, c.model)+"/"+c.name, func(t *testing.T) {
			if !c.xla && os.Getenv(allOnXLA) == "" {
				c.check(t, backendtest.Go(t))
				return
			}
			backendtest.Each(t, func(t *testing.T, be *backend.Backend) { c.check(t, be) })
		})
	}
}

func (c refCase) check(t *testing.T, be *backend.Backend) {
	want := openFixture(t, c.model+"/"+c.name)
	s := c.start(t, openModel(t, be, cmp.Or(c.dir, c.model)), want)
	in := want.batch()
	if want.has("logits") {
		checkOutputs(t, s, in, want)
	}
	if want.facts.Losses != nil {
		checkLosses(t, s, in, want)
	}
	if want.has("grad/" + s.Params()[0].Name) {
		checkGradient(t, s, in, want)
	}
	if want.facts.Train.LR != nil {
		checkFinal(t, s, trainFive(t, s, in, want), want)
	}
}

// start puts the case's method into a model, with the trainables that it begins with.
func (c refCase) start(t *testing.T, m *Model, want fixture) *Session {
	t.Helper()
	s, err := m.Train(c.spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := s.Upload(want.initial(s)); err != nil {
		t.Fatal(err)
	}
	return s
}

// checkOutputs compares logits, or what a classifier's head gives. Of logits of tokens
// those of padding are left out, as in the fixtures.
func checkOutputs(t *testing.T, s *Session, in Input, want fixture) {
	t.Helper()
	var got []float32
	var err error
	ref := want.floats("logits")
	if s.task.outputs > 0 {
		_, got, err = s.Evaluate(in)
	} else {
		got, err = s.Logits(in)
	}
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != len(ref) {
		t.Fatalf("%d logits, want %d", len(got), len(ref))
	}
	if s.task.name == job.CausalLM || s.task.name == job.MaskedLM {
		hidePadding(got, in, s.model.config.Vocab)
	}
	if d := furthest(got, ref) / largest(ref); d > logitsTolerance {
		t.Errorf("logits differ by %.2g of the largest, want at most %g", d, logitsTolerance)
	}
}

// hidePadding sets the logits [Rows, P+Len, vocab] of padding to zero, where a method
// may have put P places before the tokens.
func hidePadding(logits []float32, in Input, vocab int) {
	row := len(logits) / in.Rows
	for i, m := range in.Mask {
		if m == 0 {
			end := (i/in.Len+1)*row - (in.Len-1-i%in.Len)*vocab
			clear(logits[end-vocab : end])
		}
	}
}

// checkLosses compares the loss of each example beside others that ask for nothing.
func checkLosses(t *testing.T, s *Session, in Input, want fixture) {
	t.Helper()
	for r, ref := range want.facts.Losses {
		loss, err := s.Loss(in.only(r))
		if err != nil || math.Abs(float64(loss)-ref) > exampleTolerance*ref {
			t.Errorf("example %d: loss %v (%v), want %v", r, loss, err, ref)
		}
	}
}

// only is the batch in which nothing is asked of rows but r.
func (in Input) only(r int) Input {
	for _, labels := range []*[]int32{&in.Labels, &in.Targets} {
		if *labels == nil {
			continue
		}
		width := len(*labels) / in.Rows
		one := slices.Repeat([]int32{nn.Ignored}, len(*labels))
		copy(one[r*width:(r+1)*width], (*labels)[r*width:])
		*labels = one
	}
	return in
}

// checkGradient compares the loss of a batch, and its gradient, tensor by tensor.
func checkGradient(t *testing.T, s *Session, in Input, want fixture) {
	t.Helper()
	grad := make([]float32, s.Size())
	loss, err := s.Gradient(in, job.Key{}, grad)
	if err != nil {
		t.Fatal(err)
	}
	if d := math.Abs(float64(loss)-want.facts.LossSum) / want.facts.LossSum; d > lossTolerance {
		t.Errorf("loss sum %v, want %v (off by %.2g)", loss, want.facts.LossSum, d)
	}
	top := 0.0
	for _, p := range s.Params() {
		top = max(top, largest(want.floats("grad/"+p.Name)))
	}
	for _, p := range s.Params() {
		ref := want.floats("grad/" + p.Name)
		got := want.withoutNoise(p.Name, grad[p.Offset:][:len(ref)], ref)
		d := furthest(got, ref)
		if d > gradientTolerance*top || d > tensorTolerance*largest(ref) && !want.isZero(p.Name) {
			t.Errorf("gradient of %s is off by %.2g: %.2g of the case's largest, %.2g of its own", p.Name, d, d/top, d/largest(ref))
		}
	}
	if n := want.count("grad/"); n != len(s.Params()) {
		t.Errorf("%d trainables, the fixture has %d", len(s.Params()), n)
	}
}

// withoutNoise is got with the reference where the exact gradient is zero.
func (f fixture) withoutNoise(name string, got, ref []float32) []float32 {
	got = slices.Clone(got)
	for _, noise := range f.facts.Noise[name] {
		copy(got[noise[0]:noise[1]], ref[noise[0]:noise[1]])
	}
	return got
}

// isZero says whether a tensor's gradient is next to nothing beside the others.
func (f fixture) isZero(name string) bool { return slices.Contains(f.facts.Zero, name) }

// count returns how many tensors begin so.
func (f fixture) count(prefix string) (n int) {
	for name := range f.tensors {
		if strings.HasPrefix(name, prefix) {
			n++
		}
	}
	return n
}
