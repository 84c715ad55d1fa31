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
		for i := range dy {
			dy[i] = ExpandDims(dy[i], 1)
		}
		return Concatenate(dy, 1)
	})
}
