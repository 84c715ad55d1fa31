package nn

import . "github.com/gomlx/gomlx/core/graph"

// pullback returns forward(x), with back in place of the gradient that would be
// derived: given the outputs and the loss's gradient for each, back returns that
// for x. Parameters that forward uses beside x get no gradient.
func pullback(x *Node, forward func(x *Node) []*Node, back func(y, dy []*Node) *Node) []*Node {
	return pullbacks([]*Node{x}, func(x []*Node) []*Node { return forward(x[0]) }, back)
}

// pullbacks is pullback for a function of several nodes, with a back for each.
//
// GoMLX lets one node name its own gradient. So each x passes through a node that
// does, and each output through one that notes its gradient, which is there by the
// time x's is asked for, since gradients go from later nodes to earlier ones.
func pullbacks(x []*Node, forward func(x []*Node) []*Node, back ...func(y, dy []*Node) *Node) []*Node {
	var y, dy []*Node
	asked := false // since dy was noted
	through := make([]*Node, len(x))
	for i := range x {
		through[i] = IdentityWithCustomGradient(x[i], func(_, _ *Node) *Node {
			asked = true
			for k := range dy {
				if dy[k] == nil {
					dy[k] = ZerosLike(y[k])
				}
			}
			return back[i](y, dy)
		})
	}
	y = forward(through)
	dy = make([]*Node, len(y))
	noted := make([]*Node, len(y))
	for i := range y {
		noted[i] = IdentityWithCustomGradient(y[i], func(_, v *Node) *Node {
			if asked { // this is another gradient
				dy, asked = make([]*Node, len(y)), false
			}
			dy[i] = v
			return v
		})
	}
	return noted
}
