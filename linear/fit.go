package linear

import (
	"fmt"

	"gonum.org/v1/gonum/optimize"
)

// fit is a problem being solved: c times the loss of the answers, summed, plus half
// the squared weights; intercepts are free.
type fit struct {
	x     design
	y     answers
	width int
	w     []float64 // [outputs, width+1], an intercept after each

	c    float64
	work []float64 // [rows, outputs]: scores, then the gradient by them
}

func newFit(x design, y answers, width int) *fit {
	n := y.outputs()
	return &fit{x: x, y: y, width: width, w: make([]float64, n*(width+1)), work: make([]float64, n*y.len())}
}

// A stop is where a fit ends: so many steps make less than a share of a difference
// to the loss.
type stop struct {
	share float64
	steps int
}

var (
	converged = stop{1e-9, 5}
	roughly   = stop{1e-4, 2} // enough to compare
)

// solve goes on from the weights to the minimum for c.
func (f *fit) solve(c float64, white whitening, end stop) error {
	f.c = c
	x := make([]float64, len(f.w))
	white.into(f.w)
	loss := func(z, grad []float64) float64 {
		copy(x, z)
		white.back(x)
		sum := f.loss(x, grad)
		white.gradient(grad)
		return sum
	}
	settings := &optimize.Settings{
		GradientThreshold: 1e-6, MajorIterations: 1000,
		Converger: &optimize.FunctionConverge{Relative: end.share, Iterations: end.steps},
	}
	result, err := optimize.Minimize(Problem(loss), f.w, settings, &optimize.LBFGS{})
	if result == nil {
		return fmt.Errorf("fit a linear model: %w", err)
	}
	f.w = result.X
	white.back(f.w)
	return nil
}

// loss returns the loss at w, and fills grad.
func (f *fit) loss(w, grad []float64) float64 {
	f.x.scores(w, f.work)
	n, sum := f.y.outputs(), 0.0
	for i := range f.y.len() {
		sum += f.y.loss(i, f.work[i*n:][:n])
	}
	for i := range f.work {
		f.work[i] *= f.c
	}
	clear(grad)
	f.x.gradient(f.work, grad)
	return f.c*sum + f.penalty(w, grad)
}

// penalty returns half the squared weights, and adds its gradient.
func (f *fit) penalty(w, grad []float64) (sum float64) {
	for from := 0; from < len(w); from += f.width + 1 {
		for j, a := range w[from:][:f.width] {
			sum += a * a / 2
			grad[from+j] += a
		}
	}
	return sum
}

// missed is by how much w tells other rows wrong, summed.
func missed(w []float64, x design, y answers) (sum float64) {
	n := y.outputs()
	s := make([]float64, n*y.len())
	x.scores(w, s)
	for i := range y.len() {
		sum += y.miss(i, s[i*n:][:n])
	}
	return sum
}
