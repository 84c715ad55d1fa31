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
	loraCase      = loraOf(job.LoRA{R: 4, LoraAlpha: 8, TargetModules: []string{"c_attn"}})
	loraAllLinear = loraOf(job.LoRA{R: 4, LoraAlpha: 8, TargetModules: []string{methods.AllLinear}})
)

// loraOf is method lora with a section that is right.
func loraOf(l job.LoRA) nn.Method {
	m, err := methods.New(job.Spec{Method: "lora", LoRA: &l})
	if err != nil {
		panic(err)
	}
	return m
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
