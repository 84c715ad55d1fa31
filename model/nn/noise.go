package nn

import (
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// noiseSite is the number under which noise is drawn: that of no dropout.
const noiseSite = 1<<32 - 1

// Noise returns the embeddings s.X [B, T, d], where the program's dropout is on
// with noise on them: uniform in ±alpha/√(L·d), where L is the number of tokens in
// the row, in a packed row in the token's part (NEFTune: Jain et al., 2023,
// https://arxiv.org/abs/2310.05914). Element i's is drawn as Key.Uniform of
// noiseSite<<32|i, where the key is the program's input.
func (p Params) Noise(s Sequence, alpha float64) *Node {
	if p.b.dropout == nil {
		return s.X
	}
	g, d := s.X.Graph(), s.X.Shape().Dim(2)
	on := ConvertDType(element(p.b.dropout, 2), dtypes.Float32)
	top := BitwiseShiftRightLogical(hash(p.b.dropout, noiseSite, s.X.Shape()), word(g, 8))
	uniform := AddScalar(MulScalar(ConvertDType(top, dtypes.Float32), 2.0/(1<<24)), -1.0)
	width := Mul(on, Div(Scalar(g, dtypes.Float32, alpha), Sqrt(MulScalar(tokenCounts(s), float64(d)))))
	return Add(s.X, Mul(uniform, width))
}

// tokenCounts returns how many tokens there are in each row, or in each token's
// part, at least 1: float32 [B, 1 or T, 1].
func tokenCounts(s Sequence) *Node {
	var mine *Node // [B, 1 or T, T]: the tokens that count
	if s.Packed {
		mine = Equal(ExpandDims(s.Mask, -1), ExpandDims(s.Mask, 1))
	} else {
		mine = GreaterThan(ExpandDims(s.Mask, 1), Scalar(s.Mask.Graph(), dtypes.Int32, 0))
	}
	n := ReduceAndKeep(ConvertDType(mine, dtypes.Float32), ReduceSum, -1)
	return Max(n, OnesLike(n))
}
