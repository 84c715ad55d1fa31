package optim

import "math"

// block is how many squares are added up in one go. It is the block of package
// allreduce, so that a sharded optimizer cuts where the sum is cut.
const block = 256

// Mean turns a summed gradient into the mean over the tokens that it was summed over, and
// knows its norm. Parts of it may be divided at once.
type Mean struct {
	tokens float64
	sums   []float64 // of the squares of each block
}

// NewMean is for a gradient of so many values.
func NewMean(size int, tokens int64) *Mean {
	return &Mean{float64(tokens), make([]float64, (size+block-1)/block)}
}

// Divide divides a part of the gradient, in float64, rounded once. from is where it
// begins, at a whole block; only the gradient's last part may end in the middle of one.
func (m *Mean) Divide(from int, g []float32) {
	divide(g, m.tokens)
	squares(m.sums[from/block:], g)
}

// Norm is the Euclidean norm of the mean, once all of it was divided: squares are added
// in float64, in order inside each block of 256, and the blocks' sums in block order.
func (m *Mean) Norm() float64 {
	var total float64
	for _, s := range m.sums {
		total += s
	}
	return math.Sqrt(total)
}

// divide divides each value by d in float64 and rounds it once.
func divide(g []float32, d float64) {
	for i := divideVectors(g, d); i < len(g); i++ {
		g[i] = float32(float64(g[i]) / d)
	}
}

// squares sets sums to the sums of the squares of g's blocks, of four at a time: each
// addition waits for the one before it in its block.
func squares(sums []float64, g []float32) {
	for ; len(g) >= 4*block; sums, g = sums[4:], g[4*block:] {
		a, b, c, d := (*[block]float32)(g), (*[block]float32)(g[block:]), (*[block]float32)(g[2*block:]), (*[block]float32)(g[3*block:])
		var sa, sb, sc, sd float64
		for i := range block {
			sa += square(a[i])
			sb += square(b[i])
			sc += square(c[i])
			sd += square(d[i])
		}
		sums[0], sums[1], sums[2], sums[3] = sa, sb, sc, sd
	}
	for i := 0; len(g) > 0; i, g = i+1, g[min(len(g), block):] {
		sums[i] = 0
		for _, x := range g[:min(len(g), block)] {
			sums[i] += square(x)
		}
	}
}

// square is exact, so that it is no matter whether it is fused into an addition.
func square(x float32) float64 { return float64(x) * float64(x) }

// clipEpsilon keeps PyTorch's clip_grad_norm_ from dividing by zero.
const clipEpsilon = 1e-6

// ClipFactor returns what a gradient of that norm is multiplied by so that its
// norm is at most limit (torch.nn.utils.clip_grad_norm_); a limit of 0 is none.
func ClipFactor(norm, limit float64) float64 {
	if limit <= 0 {
		return 1
	}
	return min(1, limit/(norm+clipEpsilon))
}
