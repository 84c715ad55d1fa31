package nn

import (
	"strings"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// halves is the alias of a node in graphs whose products are of rounded matrices.
const halves = "/products of bfloat16"

// Half rounds the factors of every product of matrices in the graph to bfloat16
// from here on; sums are float32, and so is everything else. Their gradients are
// products of rounded factors as well.
func (p Params) Half() Params {
	Identity(Scalar(p.b.graph, dtypes.Float32, 0)).WithAlias(halves)
	return p
}

func isHalf(g *Graph) bool { return g.GetNodeByAlias(halves) != nil }

// half rounds x. What has been widened to float32 is what it was before.
func half(x *Node) *Node {
	if x.Type() == NodeTypeConvertDType && x.Inputs()[0].DType() == dtypes.BFloat16 {
		return x.Inputs()[0]
	}
	return ConvertDType(x, dtypes.BFloat16)
}

// product returns the sums of products of the elements of a and b over the axes that
// out lacks. Axes are letters: "td", "sd" and "ts" are x·yᵀ. What both have and out
// too comes first in out.
func product(a, b *Node, left, right, out string) *Node {
	if !isHalf(a.Graph()) {
		return sums(a, b, left, right, out)
	}
	ha, hb := half(a), half(b)
	return pullbacks([]*Node{a, b}, func([]*Node) []*Node {
		return []*Node{sums(ha, hb, left, right, out)}
	}, func(_, dy []*Node) *Node {
		return sums(half(dy[0]), hb, out, right, left)
	}, func(_, dy []*Node) *Node {
		return sums(half(dy[0]), ha, out, left, right)
	})[0]
}

// sums is product of what may be rounded already; the sums are float32.
func sums(a, b *Node, left, right, out string) *Node {
	first := strings.IndexFunc(out, func(axis rune) bool { return strings.ContainsRune(left, axis) != strings.ContainsRune(right, axis) })
	if first >= 0 && strings.ContainsRune(right, rune(out[first])) { // an engine puts the left one's axes first
		a, b, left, right = b, a, right, left
	}
	var over, batch [2][]int
	for i, axis := range left {
		k := strings.IndexRune(right, axis)
		switch {
		case k < 0:
		case strings.ContainsRune(out, axis):
			batch[0], batch[1] = append(batch[0], i), append(batch[1], k)
		default:
			over[0], over[1] = append(over[0], i), append(over[1], k)
		}
	}
	dot := Dot(a, b)
	if a.DType() == dtypes.BFloat16 {
		dot = dot.WithOutputDType(dtypes.Float32)
	}
	return dot.General(over[0], batch[0], over[1], batch[1])
}
