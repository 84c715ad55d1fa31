package job

import (
	"strings"
	"testing"
)

const sum = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

// A job that goes on from an adapter is known by what that holds, not by where it is,
// and is another than one that begins by itself.
func TestWhatAJobBeginsAsIsPartOfItsIdentity(t *testing.T) {
	none := parsed(t, small)
	from := func(dir, sum string) Spec {
		s := none
		s.InitFrom, s.InitSHA256 = dir, sum
		return s
	}
	here, there, other := from("a", sum), from("b", sum), from("a", strings.Repeat("0", 64))
	id := func(s Spec) [32]byte { return s.Identity([32]byte{}, [32]byte{}) }
	if id(here) != id(there) || len(here.IdentityDiff(there)) > 0 {
		t.Errorf("the same adapter elsewhere is another job: %q", here.IdentityDiff(there))
	}
	for _, s := range []Spec{none, other} {
		if diff := here.IdentityDiff(s); id(here) == id(s) || len(diff) != 1 || !strings.HasPrefix(diff[0], "init_from is \""+sum) {
			t.Errorf("another beginning: %q", diff)
		}
	}
}

// The section of the method is left to the adapter, unless the recipe has one.
func TestASectionIsTheAdaptersWhereTheRecipeHasNone(t *testing.T) {
	s := parsed(t, small+"init_from: adapters/mine\n")
	if s.LoRA != nil || s.Validate() != nil {
		t.Fatalf("a section %+v is there, %v", s.LoRA, s.Validate())
	}
	adapter := Spec{LoRA: &LoRA{R: 3, LoraAlpha: 5, TargetModules: []string{"c_fc"}, Bias: "none"}}
	if got := s.WithSectionOf(adapter); got.LoRA.R != 3 || s.LoRA != nil {
		t.Errorf("section %+v; before %+v", got.LoRA, s.LoRA)
	}
	own := parsed(t, small+"lora: {r: 4}\ninit_from: adapters/mine\n")
	if got := own.WithSectionOf(adapter); got.LoRA.R != 4 {
		t.Errorf("the recipe's section became %+v", got.LoRA)
	}
	set := parsed(t, small)
	if err := set.Set("init_from", "adapters/mine"); err != nil || set.LoRA != nil {
		t.Errorf("set later: section %+v, %v", set.LoRA, err)
	}
	saved := s.WithSectionOf(adapter)
	saved.InitSHA256 = sum
	if got := s.ResolvedAs(saved); got.InitSHA256 != sum || got.LoRA.R != 3 {
		t.Errorf("gone on with: %q, section %+v", got.InitSHA256, got.LoRA)
	}
}

// What follows from the section follows the adapter's: bottlenecks beside the layers
// learn at a lower rate.
func TestTheRateFollowsTheAdaptersSection(t *testing.T) {
	s := parsed(t, strings.Replace(small, "method: lora", "method: adapter", 1)+"init_from: adapters/mine\n")
	if got := s.WithSectionOf(Spec{Bottleneck: &Bottleneck{Architecture: "par_bn"}}).LearningRate; got != parallelRate {
		t.Errorf("learning_rate %v, want %v", got, parallelRate)
	}
	s.LearningRate = 0.25
	if got := s.WithSectionOf(Spec{Bottleneck: &Bottleneck{Architecture: "par_bn"}}).LearningRate; got != 0.25 {
		t.Errorf("learning_rate %v, want the recipe's", got)
	}
}

func TestBeginningsThatMakeNoSense(t *testing.T) {
	for _, tt := range []struct{ more, want string }{
		{"init_sha256: " + sum, "init_sha256: "},
		{"init_from: a\ninit_sha256: " + strings.ToUpper(sum), "want a SHA-256 in lower-case hex"},
		{"init_from: a\ninit_sha256: abc", "want a SHA-256 in lower-case hex"},
	} {
		if _, err := Parse("r.yaml", []byte(small+tt.more+"\n")); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v; want %s", tt.more, err, tt.want)
		}
	}
	for _, method := range []string{"full", "bitfit", "feature"} {
		text := strings.Replace(small, "method: lora", "method: "+method, 1) + "init_from: a\n"
		if _, err := Parse("r.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), "init_from: with method "+method) {
			t.Errorf("method %s: %v", method, err)
		}
	}
}
