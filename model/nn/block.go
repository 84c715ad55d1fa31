package nn

import (
	"slices"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// again is what the blocks of a graph that are computed twice have in common
// (Chen et al., 2016, https://arxiv.org/abs/1604.06174). Of such a block only what
// goes in is kept until its gradient is asked for; then it is built a second time,
// and its own gradient is taken.
type again struct {
	tie       *Node           // a number on which what goes into each block depends, so that gradients come to it
	gradients map[*Node]*Node // of trained parameters, by the blocks so far
}

// Again returns parameters with which each block is computed again for its gradient,
// so that nothing in it needs to be kept.
func (p Params) Again() Params {
	zero := Identity(Scalar(p.b.graph, dtypes.Float32, 0)) // its own: a constant is one node for all who ask
	p.b.again = &again{zero, map[*Node]*Node{}}
	return p
}

// Twice reports whether blocks are computed again for their gradients.
func (p Params) Twice() bool { return p.b.again != nil }

// Gradient returns the gradient of loss for each of wrt: trained parameters.
func (p Params) Gradient(loss *Node, wrt []*Node) []*Node {
	if p.b.again == nil {
		return Gradient(loss, wrt...)
	}
	all := Gradient(loss, append(slices.Clone(wrt), p.b.again.tie)...)[:len(wrt)]
	for i, w := range wrt {
		if g := p.b.again.gradients[w]; g != nil {
			all[i] = Add(all[i], g)
		}
	}
	return all
}

// EnterBlock returns what a block of a model makes of in. The block may use
// parameters, and other nodes that no gradient is asked for: whatever of another
// block's it looks at must be in in. It may be built twice.
func EnterBlock(p Params, block func(in ...*Node) *Node, in ...*Node) *Node {
	if p.b.again == nil {
		return block(in...)
	}
	build := p.repeatable(func(in []*Node) *Node { return block(in...) })
	var dy *Node
	var din []*Node // nil until dy is there
	tied := make([]*Node, len(in))
	for i := range in {
		tied[i] = IdentityWithCustomGradient(tie(in[i], p.b.again.tie), func(_, _ *Node) *Node {
			if din == nil {
				din = p.backward(build, in, dy)
			}
			return din[i]
		})
	}
	y := StopGradient(build(in))
	for _, x := range tied {
		y = tie(y, x)
	}
	return IdentityWithCustomGradient(y, func(_, v *Node) *Node {
		dy, din = v, nil
		return v
	})
}

// tie is y, for gradients also a function of x.
func tie(y, x *Node) *Node {
	if !x.Shape().Equal(y.Shape()) {
		x = first(x)
	}
	return Where(Const(y.Graph(), true), y, x)
}

// first returns the first number of x, as a scalar.
func first(x *Node) *Node {
	for x.Rank() > 0 {
		x = Squeeze(Slice(x, AxisElem(0)), 0)
	}
	return x
}

// repeatable is build, which each time draws the same dropout, and the second time
// tells nobody what it passes through.
func (p Params) repeatable(build func(in []*Node) *Node) func(in []*Node) *Node {
	site, built := p.b.sites, false
	return func(in []*Node) *Node {
		sites, modules := p.b.sites, p.b.modules
		p.b.sites = site
		y := build(in)
		if built {
			p.b.sites, p.b.modules = sites, modules
		}
		built = true
		return y
	}
}

// backward builds a block again and returns the gradient of what goes into it, given
// that of what comes out. It puts that of trained parameters beside the others'. A
// zero that is made of dy keeps an engine from taking the block for the one that it
// has computed already, and from beginning before dy is there. (XLA on a CPU takes
// barriers away too early.)
func (p Params) backward(build func(in []*Node) *Node, in []*Node, dy *Node) []*Node {
	dy = StopGradient(dy)
	zero := MulScalar(first(dy), 0)
	fresh := make([]*Node, len(in))
	for i, x := range in {
		fresh[i] = Add(StopGradient(x), zero)
	}
	y := build(fresh)
	params := trainedIn(y, fresh, p.b.trained)
	all := Gradient(ReduceAllSum(Mul(y, dy)), append(slices.Clone(fresh), params...)...)
	for i, w := range params {
		g := all[len(fresh)+i]
		if sum := p.b.again.gradients[w]; sum != nil {
			g = Add(sum, g)
		}
		p.b.again.gradients[w] = g
	}
	return all[:len(fresh)]
}

// trainedIn returns the trained parameters that y depends on other than through stop.
func trainedIn(y *Node, stop, trained []*Node) (found []*Node) {
	seen := map[*Node]bool{}
	for _, x := range stop {
		seen[x] = true
	}
	var visit func(n *Node)
	visit = func(n *Node) {
		if seen[n] {
			return
		}
		seen[n] = true
		for _, x := range n.Inputs() {
			visit(x)
		}
	}
	visit(y)
	for _, w := range trained {
		if seen[w] && !slices.Contains(stop, w) {
			found = append(found, w)
		}
	}
	return found
}
