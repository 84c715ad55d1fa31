package nn

import (
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// hidden is added to the scores of what a token must not see. It is finite, so
// that a row of padding, which sees nothing, gives numbers and not NaN.
const hidden = -1e9

// SplitQKV cuts the output [B, T, 3·H·hd] of a map that makes queries, keys and
// values at once into q, k and v [B, H, T, hd]. Derived gradients would be three
// tensors of the full size, mostly zeros, and their sum.
func SplitQKV(qkv *Node, heads int) (q, k, v *Node) {
	d := qkv.Shape().Dim(2) / 3
	parts := pullback(qkv, func(x *Node) []*Node {
		parts := make([]*Node, 3)
		for i := range parts {
			parts[i] = SplitHeads(Slice(x, AxisRange(), AxisRange(), AxisRange(i*d, (i+1)*d)), heads)
		}
		return parts
	}, func(_, dy []*Node) *Node {
		return Concatenate([]*Node{MergeHeads(dy[0]), MergeHeads(dy[1]), MergeHeads(dy[2])}, 2)
	})
	return parts[0], parts[1], parts[2]
}

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
// lead keys in front and for the tokens up to the one that looks, in a packed
// sequence those of its own part; large negative numbers otherwise. Its shape is
// [B, 1, T, lead+T].
func CausalMask(s Sequence, lead int) *Node {
	if s.Kept != nil {
		return s.Kept.mask(lead+1, 0)
	}
	g, t := s.Mask.Graph(), s.Mask.Shape().Dim(1)
	square := shapes.Make(dtypes.Int32, 1, 1, t, lead+t)
	past := LessOrEqual(AddScalar(Iota(g, square, 3), int32(-lead)), Iota(g, square, 2))
	causal := Where(past, Scalar(g, dtypes.Float32, 0), Scalar(g, dtypes.Float32, hidden))
	if s.Packed {
		return Add(causal, otherParts(s.Mask, lead))
	}
	return Add(causal, PaddingMask(s, lead))
}

// PaddingMask returns what Attention adds to scores [B, H, T, lead+T] where every
// token sees all: 0 for the lead keys in front and for tokens, a large negative
// number for padding. Its shape is [B, 1, 1, lead+T].
func PaddingMask(s Sequence, lead int) *Node {
	g, b, t := s.Mask.Graph(), s.Mask.Shape().Dim(0), s.Mask.Shape().Dim(1)
	token := MinScalar(s.Mask, int32(1)) // 0 on padding; the number of a token's part counts once
	padding := MulScalar(ConvertDType(AddScalar(token, int32(-1)), dtypes.Float32), -hidden)
	if lead > 0 {
		front := Zeros(g, shapes.Make(dtypes.Float32, b, lead))
		padding = Concatenate([]*Node{front, padding}, 1)
	}
	return Reshape(padding, b, 1, 1, lead+t)
}

// otherParts hides from each token the tokens of other parts (and padding, whose
// number 0 is no part's): [B, 1, T, lead+T].
func otherParts(part *Node, lead int) *Node {
	g, b, t := part.Graph(), part.Shape().Dim(0), part.Shape().Dim(1)
	same := Equal(ExpandDims(part, -1), ExpandDims(part, 1))
	bias := Where(same, Scalar(g, dtypes.Float32, 0), Scalar(g, dtypes.Float32, hidden))
	if lead > 0 {
		front := Zeros(g, shapes.Make(dtypes.Float32, b, t, lead))
		bias = Concatenate([]*Node{front, bias}, 2)
	}
	return Reshape(bias, b, 1, t, lead+t)
}

// WindowMask is CausalMask for tokens that see no further back than window keys,
// their own among them; keys in front count like tokens (Jiang et al., 2023,
// https://arxiv.org/abs/2310.06825).
func WindowMask(s Sequence, lead, window int) *Node {
	if s.Kept != nil {
		return s.Kept.mask(lead+1, window)
	}
	g, t := s.Mask.Graph(), s.Mask.Shape().Dim(1)
	square := shapes.Make(dtypes.Int32, 1, 1, t, lead+t)
	first := AddScalar(Iota(g, square, 2), int32(lead-window+1))
	near := GreaterOrEqual(Iota(g, square, 3), first)
	return Add(CausalMask(s, lead), Where(near, Scalar(g, dtypes.Float32, 0), Scalar(g, dtypes.Float32, hidden)))
}

// Rotate turns the pairs (x[i], x[i+hd/2]) of each row of x [B, H, T, hd] by the
// angles whose cosines and sines are given, [B, 1, T, hd/2] (rotary positions: Su
// et al., 2021, https://arxiv.org/abs/2104.09864). The gradient turns back.
func Rotate(x, cos, sin *Node) *Node {
	return pullback(x, func(x *Node) []*Node { return []*Node{turn(x, cos, sin)} },
		func(_, dy []*Node) *Node { return turn(dy[0], cos, Neg(sin)) })[0]
}

func turn(x, cos, sin *Node) *Node {
	half := x.Shape().Dim(3) / 2
	a := Slice(x, AxisRange(), AxisRange(), AxisRange(), AxisRange(0, half))
	b := Slice(x, AxisRange(), AxisRange(), AxisRange(), AxisRange(half))
	return Concatenate([]*Node{Sub(Mul(a, cos), Mul(b, sin)), Add(Mul(b, cos), Mul(a, sin))}, 3)
}

// Attention returns softmax(scale·q·kᵀ + bias)·v for q [B, H, T, hd], k and v
// [B, KV, S, hd] and bias [B, 1, T, S] (Vaswani et al., 2017,
// https://arxiv.org/abs/1706.03762): [B, H, T, hd]. Where there are fewer keys and
// values than queries, H/KV neighbouring heads share them (Ainslie et al., 2023,
// https://arxiv.org/abs/2305.13245): they are rows of one product, and no key or
// value is repeated.
func Attention(q, k, v, bias *Node, scale float64) *Node {
	b, h, t, hd := q.Shape().Dim(0), q.Shape().Dim(1), q.Shape().Dim(2), q.Shape().Dim(3)
	kv, s := k.Shape().Dim(1), k.Shape().Dim(2)
	rows := h / kv * t
	scores := product(reshape(MulScalar(q, scale), b, kv, rows, hd), k, "bhtd", "bhsd", "bhts")
	weights := softmax(Add(reshape(scores, b, h, t, s), bias))
	y := product(reshape(weights, b, kv, rows, s), v, "bhts", "bhsd", "bhtd")
	return reshape(y, b, h, t, hd)
}

// reshape is Reshape, which on some backends copies even what has the shape already.
func reshape(x *Node, dims ...int) *Node {
	if slices.Equal(x.Shape().Dimensions, dims) {
		return x
	}
	return Reshape(x, dims...)
}

// softmax over the last axis. GoMLX's own becomes a fused operation on the Go
// backend, which in training is computed beside its parts, not instead of them.
func softmax(x *Node) *Node {
	return pullback(x, func(x *Node) []*Node {
		e := Exp(Sub(x, StopGradient(ReduceAndKeep(x, ReduceMax, -1))))
		return []*Node{Div(e, ReduceAndKeep(e, ReduceSum, -1))}
	}, func(y, dy []*Node) *Node {
		return Mul(y[0], Sub(dy[0], ReduceAndKeep(Mul(y[0], dy[0]), ReduceSum, -1)))
	})[0]
}
