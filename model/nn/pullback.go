package nn

import . "github.com/gomlx/gomlx/core/graph"

// pullback returns forward(x), with back in place of the gradient that would be
// derived: given the outputs and the loss's gradient for each, back returns that
// for x. Parameters that forward uses beside x get no gradient.
//
// GoMLX lets one node name its own gradient. So x passes through a node that does,
// and each output through one that notes its gradient, which is there by the time
// x's is asked for, since gradients go from later nodes to earlier ones.
func pullback(x *Node, forward func(x *Node) []*Node, back func(y, dy []*Node) *Node) []*Node {
	var y, dy []*Node
	x = IdentityWithCustomGradient(x, func(_, _ *Node) *Node {
		arrived := dy
		dy = make([]*Node, len(y)) // another gradient may be asked for
		for i := range arrived {
			if arrived[i] == nil {
				arrived[i] = ZerosLike(y[i])
			}
		}
		return back(y, arrived)
	})
	y = forward(x)
	dy = make([]*Node, len(y))
	noted := make([]*Node, len(y))
	for i := range y {
		noted[i] = IdentityWithCustomGradient(y[i], func(_, v *Node) *Node {
			dy[i] = v
			return v
		})
	}
	return noted
}
