package optim

import "math"

// block is how many squares are added up in one go. It is the block of package
// allreduce, so that a sharded optimizer cuts where the sum is cut.
const block = 256

// MeanAndNorm divides a summed gradient by the number of tokens it was summed over, in
// float64, rounded once, and returns the Euclidean norm of what comes of it. Squares are
// added in float64, in order inside each block of 256, and the blocks' sums in block order.
func MeanAndNorm(g []float32, tokens int64) float64 {
	n, sums := float64(tokens), make([]float64, (len(g)+block-1)/block)
	split(len(g), func(from, to int) {
		for at := from; at < to; at += block {
			part := g[at:min(to, at+block)]
			divide(part, n)
			sums[at/block] = squares(part)
		}
	})
	var total float64
	for _, s := range sums {
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

func squares(g []float32) float64 {
	var sum float64
	for _, x := range g {
		d := float64(x)
		sum += float64(d * d) // the conversion forbids fusing
	}
	return sum
}

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
