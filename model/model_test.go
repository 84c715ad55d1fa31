package model

import (
	"math"
	"slices"
	"testing"

	"carillon/backend"
	"carillon/backend/backendtest"
	"carillon/job"
	"carillon/methods"
	"carillon/model/nn"
)

// The methods of the fixtures' cases.
var (
	loraCase      = methods.LoRA{R: 4, Alpha: 8, TargetModules: []string{"c_attn"}}
	loraAllLinear = methods.LoRA{R: 4, Alpha: 8, TargetModules: []string{methods.AllLinear}}
)

// The tolerances of the fixtures' README: about ten times what PyTorch in float32
// differs from the float64 reference.
const (
	logitsTolerance   = 2e-5 // of the largest logit
	lossTolerance     = 2e-6 // of the loss
	gradientTolerance = 3e-5 // of the case's largest gradient
	tensorTolerance   = 1e-4 // of the tensor's own largest gradient
)

func TestNumbersAgreeWithTransformersAndPEFT(t *testing.T) {
	for _, tt := range []struct {
		name, dir, fixture string
		method             nn.Method
		quick              bool // on the Go backend alone: XLA takes seconds to compile
	}{
		{"full", "gpt2", "base", methods.Full{}, false},
		{"full from an older file", "gpt2-bare", "base", methods.Full{}, true},
		{"lora", "gpt2", "lora", loraCase, true},
		{"lora on all linear maps", "gpt2", "lora-all-linear", loraAllLinear, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			backendtest.Each(t, func(t *testing.T, be *backend.Backend) {
				if tt.quick && be.Kind() != backend.Go {
					t.Skip("another case has the same program on XLA")
				}
				want, in := openFixture(t, tt.fixture), openFixture(t, "base").batch()
				s := startSession(t, openModel(t, be, tt.dir), tt.method)
				if err := s.Upload(want.initial(s)); err != nil {
					t.Fatal(err)
				}
				checkLogits(t, s, in, want)
				checkGradient(t, s, in, want)
			})
		})
	}
}

func checkLogits(t *testing.T, s *Session, in Input, want fixture) {
	t.Helper()
	got, err := s.Logits(in)
	if err != nil {
		t.Fatal(err)
	}
	vocab := s.model.Config().Vocab
	for i, m := range in.Mask {
		if m == 0 {
			clear(got[i*vocab : (i+1)*vocab])
		}
	}
	ref := want.floats("logits")
	if d := furthest(got, ref) / largest(ref); d > logitsTolerance {
		t.Errorf("logits differ by %.2g of the largest, want at most %g", d, logitsTolerance)
	}
}

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
		d := furthest(grad[p.Offset:], ref)
		if d > gradientTolerance*top || d > tensorTolerance*largest(ref) {
			t.Errorf("gradient of %s is off by %.2g: %.2g of the case's largest, %.2g of its own", p.Name, d, d/top, d/largest(ref))
		}
	}
	if n := countGradients(want); n != len(s.Params()) {
		t.Errorf("%d trainables, the fixture has %d", len(s.Params()), n)
	}
}

func countGradients(f fixture) int {
	n := 0
	for name := range f.tensors {
		if len(name) > 5 && name[:5] == "grad/" {
			n++
		}
	}
	return n
}

func TestPaddingOnTheLeftGivesTheSameLogits(t *testing.T) {
	left := openFixture(t, "base-left")
	s := startSession(t, openModel(t, backendtest.Go(t), "gpt2"), methods.Full{})
	checkLogits(t, s, left.batch(), left)
}

func TestFlatOrderIsBytewiseByName(t *testing.T) {
	be := backendtest.Go(t)
	for _, method := range []nn.Method{methods.Full{}, loraAllLinear} {
		s := startSession(t, openModel(t, be, "gpt2"), method)
		offset := 0
		for i, p := range s.Params() {
			if i > 0 && s.Params()[i-1].Name >= p.Name {
				t.Errorf("%q comes before %q", s.Params()[i-1].Name, p.Name)
			}
			if p.Offset != offset {
				t.Errorf("%s begins at %d, want %d", p.Name, p.Offset, offset)
			}
			offset += nn.Decl{Shape: p.Shape}.Size()
			if wantDecay := len(p.Shape) > 1; p.Decay != wantDecay {
				t.Errorf("%s: decay %v, want %v", p.Name, p.Decay, wantDecay)
			}
		}
		if offset != s.Size() {
			t.Errorf("the trainables have %d elements, Size is %d", offset, s.Size())
		}
	}
}

// Full tuning starts from the file, LoRA from values that seed and name give.
func TestInitialValues(t *testing.T) {
	be := backendtest.Go(t)
	m := openModel(t, be, "gpt2")
	lora := startSession(t, m, loraCase)
	flat := lora.Initial()
	for _, p := range lora.Params() {
		x := flat[p.Offset:][:p.Shape[0]*p.Shape[1]]
		switch isA := p.Shape[0] == 4; {
		case isA && (largest(x) > 1/math.Sqrt(32) || largest(x) < 0.9/math.Sqrt(32)):
			t.Errorf("%s: largest %v, want nearly 1/√32", p.Name, largest(x))
		case !isA && largest(x) != 0:
			t.Errorf("%s: largest %v, want 0", p.Name, largest(x))
		}
	}
	if !slices.Equal(flat, lora.Initial()) {
		t.Error("Initial gives other values the second time")
	}
	full := startSession(t, m, methods.Full{})
	logits, err := full.Logits(openFixture(t, "base").batch())
	if err != nil {
		t.Fatal(err)
	}
	with, err := lora.Logits(openFixture(t, "base").batch())
	if err != nil {
		t.Fatal(err)
	}
	if d := furthest(with, logits); d > 1e-5 {
		t.Errorf("with LoRA in its first state the logits differ by %g", d)
	}
}

func TestWhatIsUploadedIsReadBack(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, be *backend.Backend) {
		s := startSession(t, openModel(t, be, "gpt2"), methods.Full{})
		flat := s.Initial()
		for i := range flat {
			flat[i] = float32(i)
		}
		if err := s.Upload(flat); err != nil {
			t.Fatal(err)
		}
		for _, p := range s.Params() {
			got, err := s.ReadBack(p.Name)
			if err != nil {
				t.Fatal(err)
			}
			if want := flat[p.Offset:][:nn.Decl{Shape: p.Shape}.Size()]; !slices.Equal(got, want) {
				t.Errorf("%s was read back as %v…, want %v…", p.Name, got[:1], want[:1])
			}
		}
		if _, err := s.ReadBack("no such"); err == nil {
			t.Error("a trainable that does not exist was read back")
		}
	})
}
