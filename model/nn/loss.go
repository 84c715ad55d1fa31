package nn

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Ignored is the label of a token, and the target of a row, that is not asked for.
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
	nll, asked := unlikelihood(logits, next)
	return ReduceAllSum(Where(asked, nll, ZerosLike(nll)))
}

// ClassLoss returns the sum, over the rows (or the tokens of rows) that are asked
// for, of the negative log-likelihood of the class of each, times the class's
// weight: logits [..., C], target int32 [...], weights [C] or nil for none.
func ClassLoss(logits, target *Node, weights []float32) *Node {
	nll, asked := unlikelihood(logits, target)
	if weights != nil {
		nll = Mul(nll, Gather(Const(logits.Graph(), weights), ExpandDims(Max(target, ZerosLike(target)), -1)))
	}
	return ReduceAllSum(Where(asked, nll, ZerosLike(nll)))
}

// unlikelihood returns the negative log-likelihood of each class [...] under
// logits [..., C], and which of them are asked for.
func unlikelihood(logits, class *Node) (nll, asked *Node) {
	g, dims := logits.Graph(), logits.Shape().Dimensions
	z := Sub(logits, StopGradient(ReduceAndKeep(logits, ReduceMax, -1)))
	lse := Log(ReduceSum(Exp(z), -1))
	classes := Iota(g, shapes.Make(dtypes.Int32, dims...), len(dims)-1)
	picked := ReduceSum(Where(Equal(classes, ExpandDims(class, -1)), z, ZerosLike(z)), -1)
	asked = GreaterOrEqual(class, ScalarZero(g, dtypes.Int32))
	return Sub(lse, picked), asked
}

// SquaredLoss returns the sum, over the rows that are asked for, of the squared
// difference between the output [B, 1] and the target, whose float32 bits are an
// int32 [B]. (Ignored, read as such bits, is no number.)
func SquaredLoss(output, target *Node) *Node {
	y := Reshape(output, target.Shape().Dim(0))
	asked := NotEqual(target, Scalar(y.Graph(), dtypes.Int32, Ignored))
	want := Where(asked, Bitcast(target, dtypes.Float32), ZerosLike(y))
	return ReduceAllSum(Where(asked, Square(Sub(y, want)), ZerosLike(y)))
}

// LastTokens returns the position of the last token of each row, int32 [B]: the
// last whose mask (int32 [B, T]) is not 0; 0 in a row without tokens.
func LastTokens(mask *Node) *Node {
	at := Iota(mask.Graph(), mask.Shape(), 1)
	return ReduceMax(Where(GreaterThan(mask, ZerosLike(mask)), at, ZerosLike(at)), 1)
}
