package nn

import . "github.com/gomlx/gomlx/core/graph"

// Slots returns x[:, i] of x [A, n, ...], with that axis left out, for each i.
// Derived gradients would be n tensors of the full size, mostly zeros, and their sum.
func Slots(x *Node) []*Node {
	return pullback(x, func(x *Node) []*Node {
		parts := make([]*Node, x.Shape().Dim(1))
		for i := range parts {
			parts[i] = Squeeze(Slice(x, AxisRange(), AxisElem(i)), 1)
		}
		return parts
	}, func(_, dy []*Node) *Node {
		rows := make([]*Node, len(dy))
		for i, d := range dy {
			rows[i] = ExpandDims(d, 1)
		}
		return Concatenate(rows, 1)
	})
}
