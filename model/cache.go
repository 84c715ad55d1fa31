package model

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"carillon/model/nn"
)

// stepInputs are the numbers that a step takes for each row: the token, its place,
// and the row of the step before whose text it goes on with.
const stepInputs = 3

// keepNodes returns what the program that reads the prompts gives besides logits
// [rows, V]: keys and values for as many rows as will be written, with room for
// key.slots tokens, and where there is a decoder what hides its encoder's padding.
func (s *Session) keepNodes(key programKey, kept *nn.Kept, seq nn.Sequence, lead int) (all []*Node) {
	for _, x := range kept.Own {
		all = append(all, repeat(widen(x, key.slots+lead), key.beams))
	}
	for _, x := range kept.Memory {
		all = append(all, repeat(x, key.beams))
	}
	if s.task.decodes {
		all = append(all, repeat(seq.Mask, key.beams))
	}
	return all
}

// widen puts zeros behind x [B, KV, T, hd]: [B, KV, n, hd].
func widen(x *Node, n int) *Node {
	dims := x.Shape().Clone().Dimensions
	if dims[2] == n {
		return x
	}
	dims[2] = n - dims[2]
	return Concatenate([]*Node{x, Zeros(x.Graph(), shapes.Make(x.DType(), dims...))}, 2)
}

// repeat repeats each row of x n times.
func repeat(x *Node, n int) *Node {
	if n == 1 {
		return x
	}
	dims := x.Shape().Clone().Dimensions
	wide := append([]int{dims[0], n}, dims[1:]...)
	x = BroadcastToDims(ExpandDims(x, 1), wide...)
	dims[0] *= n
	return Reshape(x, dims...)
}

// stepNodes builds a program that reads one token of each row. It takes what was
// kept, in given shapes, and gives logits [rows, V] and the keys and values that it
// has put its own to.
func (s *Session) stepNodes(g *Graph, key programKey, was []shapes.Shape, p *program) []*Node {
	in := Parameter(g, "step", shapes.Make(dtypes.Int32, stepInputs, key.rows))
	row := func(i int) *Node { return Squeeze(Slice(in, AxisElem(i)), 0) }
	all := make([]*Node, len(was))
	for i, shape := range was {
		all[i] = Parameter(g, fmt.Sprintf("kept_%d", i), shape)
	}
	kept, mask := &nn.Kept{Own: all}, (*Node)(nil)
	if s.task.decodes {
		half := len(all) / 2
		kept.Own, kept.Memory, mask = all[:half], all[half:2*half], all[2*half]
	}
	if key.beams > 1 {
		for i, x := range kept.Own {
			kept.Own[i] = Gather(x, ExpandDims(row(2), -1))
		}
	}
	kept.At = AddScalar(row(1), int32(kept.Own[0].Shape().Dim(2)-key.slots))
	params := s.task.params(g, s.method, s.sourceOf(g, s.trainedNodes(g), p), nil)
	params.Keep(kept)
	x := s.task.next(s.model.arch, params, ExpandDims(row(0), 1), row(1), kept, mask)
	logits := s.model.arch.Logits(params, Squeeze(x, 1))
	return append([]*Node{logits}, kept.Own...)
}

// next runs the model up to its head on one token of each row, at a place in its text
// (int32 [B, 1] and [B]): [B, 1, d].
func (t task) next(arch architecture, p nn.Params, token, place *Node, kept *nn.Kept, mask *Node) *Node {
	if t.decodes {
		return arch.(translator).Decode(p, token, nil, nn.Sequence{Mask: mask, Kept: kept})
	}
	s := nn.Sequence{X: arch.Embed(p, token), Positions: ExpandDims(place, 1), Mask: OnesLike(token)}
	s = nn.EnterInputs(p, s)
	// What a method puts before the tokens is kept already.
	front := s.X.Shape().Dim(1) - 1
	s.X = Slice(s.X, AxisRange(), AxisRange(front))
	s.Positions, s.Mask = Slice(s.Positions, AxisRange(), AxisRange(front)), nil
	s.Kept = kept
	return arch.Hidden(p, s)
}
