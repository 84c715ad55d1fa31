package nn

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Ignored is the label of a token that is not asked for.
const Ignored = -100

// CausalLoss returns the sum, over the tokens that are asked for, of the negative
// log-likelihood of each given those before it: logits [B, T, V], labels int32
// [B, T] unshifted, as Hugging Face has them.
func CausalLoss(logits, labels *Node) *Node {
	g, dims := logits.Graph(), logits.Shape().Dimensions
	next := BroadcastToDims(Scalar(g, dtypes.Int32, Ignored), dims[0], 1)
	if dims[1] > 1 {
		next = Concatenate([]*Node{Slice(labels, AxisRange(), AxisRange(1)), next}, 1)
	}
	z := Sub(logits, StopGradient(ReduceAndKeep(logits, ReduceMax, -1)))
	lse := Log(ReduceSum(Exp(z), -1))
	classes := Iota(g, shapes.Make(dtypes.Int32, dims...), 2)
	picked := ReduceSum(Where(Equal(classes, ExpandDims(next, -1)), z, ZerosLike(z)), -1)
	asked := GreaterOrEqual(next, ScalarZero(g, dtypes.Int32))
	nll := Sub(lse, picked)
	return ReduceAllSum(Where(asked, nll, ZerosLike(nll)))
}
