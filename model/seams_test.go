package model

import (
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"carillon/backend/backendtest"
	"carillon/model/nn"
)

// The seams carry every kind of method: each of these is the method's formula and
// nothing else, and gives PEFT's and AdapterHub's numbers.
func TestSeamsCarryEveryKindOfMethod(t *testing.T) {
	for name, method := range map[string]nn.Method{
		"prompt":                promptSketch{},
		"prefix":                prefixSketch{},
		"ia3":                   ia3Sketch{},
		"adapter-double_seq_bn": bottleneckSketch{},
		"adapter-par_bn":        bottleneckSketch{parallel: true},
	} {
		t.Run(name, func(t *testing.T) {
			want := openFixture(t, name)
			s := startSession(t, openModel(t, backendtest.Go(t), "gpt2"), method)
			if err := s.Upload(want.initial(s)); err != nil {
				t.Fatal(err)
			}
			in := openFixture(t, "base").batch()
			checkOutputs(t, s, in, want)
			checkGradient(t, s, in, want)
			if name == "prompt" || name == "prefix" {
				checkRuns(t, s, openRuns(t, "generate-"+name))
			}
		})
	}
}

// promptSketch puts five trained rows before the embeddings.
type promptSketch struct{ frozen }

func (promptSketch) Input(p nn.Params, s nn.Sequence) nn.Sequence {
	const rows = 5
	g, b, d := p.Graph(), s.X.Shape().Dim(0), s.X.Shape().Dim(2)
	prompt := p.Trainable("prompt_embeddings", nn.Zero, rows, d)
	front := func(x, y *Node) *Node { return Concatenate([]*Node{BroadcastToDims(x, b, rows), y}, 1) }
	whole := shapes.Make(dtypes.Int32, b, rows)
	s.X = Concatenate([]*Node{BroadcastToDims(ExpandDims(prompt, 0), b, rows, d), s.X}, 1)
	s.Positions = Concatenate([]*Node{Iota(g, whole, 1), AddScalar(s.Positions, int32(rows))}, 1)
	s.Mask = front(Scalar(g, dtypes.Int32, 1), s.Mask)
	s.Labels = front(Scalar(g, dtypes.Int32, nn.Ignored), s.Labels)
	return s
}

// prefixSketch puts four trained keys and values before those of each layer.
type prefixSketch struct{ frozen }

func (prefixSketch) Input(_ nn.Params, s nn.Sequence) nn.Sequence {
	s.Positions = AddScalar(s.Positions, int32(4))
	return s
}

func (prefixSketch) KeysValues(p nn.Params, layer, layers int, k, v *Node) (*Node, *Node) {
	b, h, hd := k.Shape().Dim(0), k.Shape().Dim(1), k.Shape().Dim(3)
	all := Reshape(p.Trainable("prompt_embeddings", nn.Zero, 4, 2*layers*h*hd), 4, 2*layers, h, hd)
	put := func(slot int, x *Node) *Node {
		rows := Squeeze(Slice(all, AxisRange(), AxisElem(slot)), 1) // [4, H, hd]
		return Concatenate([]*Node{BroadcastToDims(ExpandDims(TransposeAllAxes(rows, 1, 0, 2), 0), b, h, 4, hd), x}, 2)
	}
	return put(2*layer, k), put(2*layer+1, v)
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

// bottleneckSketch adds small feed-forward parts of eight units.
type bottleneckSketch struct {
	frozen
	parallel bool
}

func (a bottleneckSketch) Residual(p nn.Params, r nn.Residual) *Node {
	sum := Add(r.X, r.A)
	switch {
	case a.parallel && r.FeedForward:
		return Add(sum, MulScalar(a.part(p, r.X, "relu"), 4.0))
	case a.parallel:
		return sum
	}
	return Add(sum, a.part(p, r.A, "swish"))
}

func (bottleneckSketch) part(p nn.Params, x *Node, activation string) *Node {
	d, key := x.Shape().Dim(2), p.Path()+".adapters.demo."
	h := nn.MatT(x, p.Trainable(key+"adapter_down.0.weight", nn.Zero, 8, d))
	h = nn.AddVector(h, p.Trainable(key+"adapter_down.0.bias", nn.Zero, 8))
	if activation == "relu" {
		h = Max(h, ZerosLike(h))
	} else {
		h = Mul(h, Sigmoid(h))
	}
	h = nn.MatT(h, p.Trainable(key+"adapter_up.weight", nn.Zero, d, 8))
	return nn.AddVector(h, p.Trainable(key+"adapter_up.bias", nn.Zero, d))
}
