package model

import (
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"

	"carillon/backend/backendtest"
	"carillon/model/nn"
)

// The seams carry methods that are not built: this is IA3's formula and nothing
// else, and gives PEFT's numbers.
func TestSeamsCarryAMethodThatIsNotBuilt(t *testing.T) {
	want := openFixture(t, "gpt2/ia3")
	s := startSession(t, openModel(t, backendtest.Go(t), "gpt2"), ia3Sketch{})
	if err := s.Upload(want.initial(s)); err != nil {
		t.Fatal(err)
	}
	checkOutputs(t, s, want.batch(), want)
	checkGradient(t, s, want.batch(), want)
}

// ia3Sketch scales what comes out of c_attn and what goes into the second map of
// the feed-forward part.
type ia3Sketch struct{ frozen }

func (ia3Sketch) Linear(p nn.Params, m nn.Linear) *Node {
	key := "base_model.model." + p.Path() + ".ia3_l"
	switch {
	case strings.HasSuffix(p.Path(), "c_attn"):
		y := m.Apply(m.X)
		return Mul(y, nn.ExpandLeft(Reshape(p.Trainable(key, nn.One, m.Out, 1), m.Out), y.Rank()))
	case strings.HasSuffix(p.Path(), "mlp.c_proj"):
		return m.Apply(Mul(m.X, nn.ExpandLeft(p.Trainable(key, nn.One, 1, m.In), m.X.Rank())))
	}
	return m.Apply(m.X)
}
