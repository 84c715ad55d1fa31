package model

import (
	"fmt"
	"math"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"carillon/job"
	"carillon/model/nn"
)

// bareGPT is the program that a GoMLX user would write for one shape and nothing
// else: the yardstick of the benchmarks. Queries, keys and values have a map each;
// with LoRA, of rank 8, queries and values are corrected.
type bareGPT struct {
	layers, d, heads, vocab, rows, length int
	lora                                  bool

	exec   *Exec
	inputs []any // the variables, then tokens and labels
}

func newBare(t testing.TB, be compute.Backend, b bareGPT) *bareGPT {
	t.Helper()
	var specs []shapes.Shape
	var trained []int
	build := func(g *Graph, next func(trained bool, dims ...int) *Node, tokens, labels *Node) *Node {
		return b.loss(next, tokens, labels)
	}
	// The first pass lists the variables.
	g := NewGraph(be, "list")
	ids := shapes.Make(dtypes.Int32, b.rows, b.length)
	build(g, func(train bool, dims ...int) *Node {
		if train {
			trained = append(trained, len(specs))
		}
		specs = append(specs, shapes.Make(dtypes.Float32, dims...))
		return Parameter(g, fmt.Sprint("v", len(specs)), specs[len(specs)-1])
	}, Parameter(g, "tokens", ids), Parameter(g, "labels", ids))
	g.Finalize()
	exec, err := NewExec(be, func(in []*Node) []*Node {
		i := 0
		loss := build(in[0].Graph(), func(bool, ...int) *Node { i++; return in[i-1] }, in[len(specs)], in[len(specs)+1])
		wrt := make([]*Node, len(trained))
		for k, at := range trained {
			wrt[k] = in[at]
		}
		return append([]*Node{loss}, Gradient(loss, wrt...)...)
	})
	if err != nil {
		t.Fatal(err)
	}
	b.exec = exec
	for i, shape := range specs {
		x := make([]float32, shape.Size())
		nn.Normal(0.02)(job.NewKey(1, job.ForInit, uint64(i)), x)
		b.inputs = append(b.inputs, tensors.FromFlatDataAndDimensions(x, shape.Dimensions...))
	}
	tokens := make([]int32, b.rows*b.length)
	for i := range tokens {
		tokens[i] = int32(job.NewKey(2, job.ForProbe).At(uint64(i)) % uint32(b.vocab))
	}
	b.inputs = append(b.inputs, tensors.FromFlatDataAndDimensions(tokens, b.rows, b.length), tensors.FromFlatDataAndDimensions(tokens, b.rows, b.length))
	return &b
}

// step runs the program and copies loss and gradients to the host.
func (b *bareGPT) step(t testing.TB) float32 {
	out, err := b.exec.Call(b.inputs...)
	if err != nil {
		t.Fatal(err)
	}
	loss := tensors.ToScalar[float32](out[0])
	for _, x := range out[1:] {
		if _, err := tensors.CopyFlatData[float32](x); err != nil {
			t.Fatal(err)
		}
	}
	for _, x := range out {
		x.MustFinalizeAll()
	}
	return loss
}

func (b *bareGPT) loss(next func(bool, ...int) *Node, tokens, labels *Node) *Node {
	g, d := tokens.Graph(), b.d
	table := next(!b.lora, b.vocab, d)
	x := Add(Gather(table, ExpandDims(tokens, -1)), ExpandDims(next(!b.lora, b.length, d), 0))
	seen := Iota(g, shapes.Make(dtypes.Int32, b.length, b.length), 1)
	mask := LessOrEqual(seen, Iota(g, shapes.Make(dtypes.Int32, b.length, b.length), 0))
	mask = BroadcastToDims(Reshape(mask, 1, 1, b.length, b.length), b.rows, b.heads, b.length, b.length)
	for range b.layers {
		x = b.layer(next, x, mask)
	}
	logits := Einsum("btd,vd->btv", b.norm(next, x), table)
	logProbs := LogSoftmax(Slice(logits, AxisRange(), AxisRange(0, -1)))
	picked := Mul(logProbs, OneHot(Slice(labels, AxisRange(), AxisRange(1)), b.vocab, dtypes.Float32))
	return Neg(ReduceAllSum(picked))
}

func (b *bareGPT) layer(next func(bool, ...int) *Node, x, mask *Node) *Node {
	n := b.norm(next, x)
	split := func(y *Node) *Node {
		return TransposeAllAxes(Reshape(y, b.rows, b.length, b.heads, b.d/b.heads), 0, 2, 1, 3)
	}
	q, k, v := split(b.linear(next, n, b.d, true)), split(b.linear(next, n, b.d, false)), split(b.linear(next, n, b.d, true))
	scores := MulScalar(Einsum("bhqd,bhkd->bhqk", q, k), 1/math.Sqrt(float64(b.d/b.heads)))
	weights := Softmax(Where(mask, scores, MulScalar(OnesLike(scores), -1e9)), -1)
	a := Reshape(TransposeAllAxes(Einsum("bhqk,bhkd->bhqd", weights, v), 0, 2, 1, 3), b.rows, b.length, b.d)
	x = Add(x, b.linear(next, a, b.d, false))
	h := b.linear(next, b.norm(next, x), 4*b.d, false)
	cube := Mul(Mul(h, h), h)
	h = MulScalar(Mul(h, AddScalar(Tanh(MulScalar(Add(h, MulScalar(cube, 0.044715)), math.Sqrt(2/math.Pi))), 1.0)), 0.5)
	return Add(x, b.linear(next, h, b.d, false))
}

func (b *bareGPT) linear(next func(bool, ...int) *Node, x *Node, out int, corrected bool) *Node {
	in := x.Shape().Dim(-1)
	y := Add(Einsum("bti,oi->bto", x, next(!b.lora, out, in)), Reshape(next(!b.lora, out), 1, 1, out))
	if b.lora && corrected {
		low := Einsum("bti,ri->btr", x, next(true, 8, in))
		y = Add(y, MulScalar(Einsum("btr,or->bto", low, next(true, out, 8)), 2.0))
	}
	return y
}

func (b *bareGPT) norm(next func(bool, ...int) *Node, x *Node) *Node {
	c := Sub(x, ReduceAndKeep(x, ReduceMean, -1))
	y := Div(c, Sqrt(AddScalar(ReduceAndKeep(Mul(c, c), ReduceMean, -1), 1e-5)))
	return Add(Mul(y, Reshape(next(!b.lora, b.d), 1, 1, b.d)), Reshape(next(!b.lora, b.d), 1, 1, b.d))
}
