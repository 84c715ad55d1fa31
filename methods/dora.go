package methods

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"

	"carillon/job"
	"carillon/model/nn"
)

// endMagnitude ends the key of the lengths.
const endMagnitude = ".lora_magnitude_vector"

// directed is a map whose rows W'ₒ [in] have trained lengths m [out], and directions
// that LoRA corrects (DoRA: Liu et al., 2024, https://arxiv.org/abs/2402.09353,
// equation 5):
//
//	W' = m/|W + s·B·A| · (W + s·B·A)
//
// The norm is a constant in the gradient, as in the paper's section 4.3. m starts at
// |W|. With dropout the correction of length sees what the correction of direction
// sees, as in PEFT:
//
//	y = x·Wᵀ + (m/|…| - 1)·drop(x)·Wᵀ + m/|…|·s·drop(x)·(B·A)ᵀ + b
func (l LoRA) directed(p nn.Params, m nn.Linear, first nn.Init) *Node {
	key, s := peftPrefix+p.Path(), l.Scale(p.Path())
	r := l.Rank(p.Path())
	a := p.Trainable(key+".lora_A.weight", first, r, m.In)
	b := p.Trainable(key+".lora_B.weight", nn.Zero, m.Out, r)
	length := p.TrainableFrom(key+endMagnitude, rowNorms(m.Name, m.InOut, m.In, m.Out), m.Out)

	factor := Div(length, norms(m, MulScalar(b, s), a)) // [out]
	x, bias := p.Dropout(m.X, l.LoraDropout), m.Bias
	m.Bias = nil
	low := nn.MatT(MulScalar(nn.MatT(x, a), s), b) // [..., out]
	own := m.Apply(x)
	y := times(Add(own, low), factor)
	if x != m.X {
		y = Add(y, Sub(m.Apply(m.X), own))
	}
	if bias != nil {
		y = nn.AddVector(y, bias)
	}
	return y
}

// times multiplies each row of x [..., n] by v [n].
func times(x, v *Node) *Node { return Mul(x, nn.ExpandLeft(v, x.Rank())) }

// norms returns |W + B·A| [out] of each output's row, without a gradient.
func norms(m nn.Linear, b, a *Node) *Node {
	w, axis := nn.Mat(b, a), 1 // [out, in]
	if m.InOut {
		w, axis = Transpose(w, 0, 1), 0 // [in, out]
	}
	w = Add(m.W, w)
	return StopGradient(Sqrt(ReduceSum(Mul(w, w), axis)))
}

// rowNorms are the lengths of the rows of W.
func rowNorms(name string, inOut bool, in, out int) nn.From {
	return func(base nn.Base, _ job.Key, dst []float32) error {
		w, err := base.Weight(name)
		if err != nil {
			return err
		}
		squares := make([]float64, out)
		for i, x := range w {
			o := i / in
			if inOut {
				o = i % out
			}
			squares[o] += float64(float64(x) * float64(x))
		}
		for o, sum := range squares {
			dst[o] = float32(math.Sqrt(sum))
		}
		return nil
	}
}
