package nn

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// materialize returns x, of which the engine shall make a tensor once, and of the
// gradient for it too.
//
// XLA on a CPU computes sums and products of tensors again for each of their readers.
// The residual stream is such a sum, and each block reads it several times: its n-th
// block would add up what all before it gave, and on the way back whatever their
// norms did, so that work grew with the square of the depth (a quarter of a step of
// BERT base). What it holds for dear, a division among them, it computes once. So x
// is divided by a one that the engine cannot know to be one, which changes no bit.
// Forward alone it is not worth it.
func materialize(p Params, x *Node) *Node {
	if p.b.dropout == nil {
		return x
	}
	one := Once(p, "materialize", func() *Node {
		on := element(p.b.dropout, 2) // 0 or 1
		return ConvertDType(Max(on, OnesLike(on)), dtypes.Float32)
	})
	return pullback(x, func(x *Node) []*Node { return []*Node{Div(x, one)} },
		func(_, dy []*Node) *Node { return Div(dy[0], one) })[0]
}
