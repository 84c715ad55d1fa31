package nn

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// hidden is added to the scores of what a token must not see. It is finite, so
// that a row of padding, which sees nothing, gives numbers and not NaN.
const hidden = -1e9

// SplitHeads turns [B, T, H*hd] into [B, H, T, hd].
func SplitHeads(x *Node, heads int) *Node {
	b, t, d := x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2)
	return TransposeAllAxes(Reshape(x, b, t, heads, d/heads), 0, 2, 1, 3)
}

// MergeHeads turns [B, H, T, hd] into [B, T, H*hd].
func MergeHeads(x *Node) *Node {
	s := x.Shape()
	return Reshape(TransposeAllAxes(x, 0, 2, 1, 3), s.Dim(0), s.Dim(2), s.Dim(1)*s.Dim(3))
}

// CausalMask returns what Attention adds to scores [B, H, T, lead+T]: 0 for the
// lead keys in front and for tokens (mask, int32 [B, T], is 1) up to the one that
// looks, a large negative number otherwise. Its shape is [B, 1, T, lead+T].
func CausalMask(mask *Node, lead int) *Node {
	g, b, t := mask.Graph(), mask.Shape().Dim(0), mask.Shape().Dim(1)
	square := shapes.Make(dtypes.Int32, 1, 1, t, lead+t)
	row, column := Iota(g, square, 2), AddScalar(Iota(g, square, 3), int32(-lead))
	token := Reshape(mask, b, 1, 1, t)
	if lead > 0 {
		token = Concatenate([]*Node{OnesLike(Reshape(BroadcastToDims(Scalar(g, dtypes.Int32, 1), b, lead), b, 1, 1, lead)), token}, 3)
	}
	seen := LogicalAnd(BroadcastToDims(LessOrEqual(column, row), b, 1, t, lead+t),
		BroadcastToDims(GreaterThan(token, ScalarZero(g, dtypes.Int32)), b, 1, t, lead+t))
	return Where(seen, Scalar(g, dtypes.Float32, 0), Scalar(g, dtypes.Float32, hidden))
}

// Attention returns softmax(scale·q·kᵀ + bias)·v for q [B, H, T, hd], k and v
// [B, H, S, hd] and bias [B, 1, T, S] (Vaswani et al., 2017,
// https://arxiv.org/abs/1706.03762): [B, H, T, hd].
func Attention(q, k, v, bias *Node, scale float64) *Node {
	batch := []int{0, 1}
	scores := Dot(MulScalar(q, scale), k).General([]int{3}, batch, []int{3}, batch)
	weights := softmax(Add(scores, bias))
	return Dot(weights, v).General([]int{3}, batch, []int{2}, batch)
}

// softmax over the last axis. GoMLX's own becomes a fused operation on the Go
// backend, which in training is computed beside its parts, not instead of them.
func softmax(x *Node) *Node {
	e := Exp(Sub(x, StopGradient(ReduceAndKeep(x, ReduceMax, -1))))
	return Div(e, ReduceAndKeep(e, ReduceSum, -1))
}
