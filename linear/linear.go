// Package linear fits linear classifiers: multinomial logistic regression with an
// L2 penalty, to convergence.
//
// # How
//
// The loss is convex and all of it is computed in each step, so L-BFGS finds its
// minimum, and the same numbers in give the same numbers out: no order is drawn and
// no thread adds in another's place. The strength of the penalty is chosen by
// cross-validation.
//
// # Failure
//
// Rows or labels that make no problem (no row, one class, a label out of range, a
// number that is none) are refused. That the minimum was not quite reached is no
// error: what was found is what counts.
package linear

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/optimize"
)

// Rows are the inputs, one row of Width numbers each; they may be sparse.
type Rows interface {
	Len() int
	Width() int
	// Dot returns the product of row i and w, which has Width numbers.
	Dot(i int, w []float64) float64
	// Add adds x times row i to w.
	Add(i int, x float64, w []float64)
}

// Model is a fitted classifier.
type Model struct {
	Classes int
	// W has, for each class (for two classes: for the second alone), Width weights
	// and an intercept.
	W [][]float64
}

// Fit minimises C times the negative log-likelihood of the labels (in
// [0, classes), one a row), summed, plus half the squared weights; intercepts are
// free. These are the loss and the C of scikit-learn's LogisticRegression.
func Fit(rows Rows, labels []int, classes int, c float64) (*Model, error) {
	if err := check(rows, labels, classes, c); err != nil {
		return nil, err
	}
	_, m, err := fitFrom(nil, whiten(gramOf(rows), c), rows, labels, classes, c, 1e-9)
	return m, err
}

// fitFrom is Fit from the weights w on, which it changes (nil: 0), and returns those
// where it ends: where five steps make less than relative of a difference to the loss.
func fitFrom(w []float64, white whitening, rows Rows, labels []int, classes int, c, relative float64) ([]float64, *Model, error) {
	f := &fit{rows: rows, labels: labels, outputs: Outputs(classes), width: rows.Width(), c: c}
	x := make([]float64, f.outputs*(f.width+1))
	if w == nil {
		w = make([]float64, len(x))
	}
	white.into(w)
	loss := func(z, grad []float64) float64 {
		copy(x, z)
		white.back(x)
		sum := f.loss(x, grad)
		white.gradient(grad)
		return sum
	}
	settings := &optimize.Settings{
		GradientThreshold: 1e-6, MajorIterations: 1000,
		Converger: &optimize.FunctionConverge{Relative: relative, Iterations: 5},
	}
	result, err := optimize.Minimize(Problem(loss), w, settings, &optimize.LBFGS{})
	if result == nil {
		return nil, nil, fmt.Errorf("fit a linear classifier: %w", err)
	}
	w = result.X
	white.back(w)
	m := &Model{Classes: classes}
	for k := range f.outputs {
		m.W = append(m.W, slices.Clone(w[k*(f.width+1):][:f.width+1]))
	}
	return w, m, nil
}

// Problem is a loss that is computed with its gradient, once where both are asked
// for: loss fills grad, unless it is nil.
func Problem(loss func(x, grad []float64) float64) optimize.Problem {
	var at, last []float64
	var value float64
	both := func(x []float64) {
		if !slices.Equal(at, x) {
			last = slices.Grow(last[:0], len(x))[:len(x)]
			value = loss(x, last)
			at = append(at[:0], x...)
		}
	}
	return optimize.Problem{
		Func: func(x []float64) float64 { both(x); return value },
		Grad: func(grad, x []float64) { both(x); copy(grad, last) },
	}
}

func check(rows Rows, labels []int, classes int, c float64) error {
	switch {
	case rows.Len() == 0 || rows.Len() != len(labels):
		return fmt.Errorf("%d rows with %d labels; want as many, and at least one", rows.Len(), len(labels))
	case classes < 2:
		return fmt.Errorf("%d classes; want two or more", classes)
	case !(c > 0) || math.IsInf(c, 0):
		return fmt.Errorf("strength C is %v; want a number above 0", c)
	}
	for i, label := range labels {
		if label < 0 || label >= classes {
			return fmt.Errorf("label %d of row %d; want 0 to %d", label, i, classes-1)
		}
	}
	return nil
}

// Outputs is the number of weight vectors: of two classes one suffices.
func Outputs(classes int) int {
	if classes == 2 {
		return 1
	}
	return classes
}

// fit is a problem being solved.
type fit struct {
	rows           Rows
	labels         []int
	outputs, width int
	c              float64
}

// loss returns the loss at x, and fills grad unless it is nil.
func (f *fit) loss(x, grad []float64) float64 {
	clear(grad)
	sum, p := 0.0, make([]float64, max(2, f.outputs))
	w := f.vectors(x)
	for i, label := range f.labels {
		score(f.rows, i, w, p)
		sum += f.c * (logSum(p) - p[label])
		if grad != nil {
			f.addGradient(grad, i, label, p)
		}
	}
	for k, v := range w {
		for j, a := range v[:f.width] {
			sum += a * a / 2
			if grad != nil {
				grad[k*(f.width+1)+j] += a
			}
		}
	}
	return sum
}

// vectors cuts x into the weights of each output, intercept last.
func (f *fit) vectors(x []float64) [][]float64 {
	w := make([][]float64, f.outputs)
	for k := range w {
		w[k] = x[k*(f.width+1):][:f.width+1]
	}
	return w
}

// addGradient adds that of one row, whose scores are p.
func (f *fit) addGradient(grad []float64, i, label int, p []float64) {
	softmax(p)
	p[label]--
	for k := range f.outputs {
		g := grad[k*(f.width+1):][:f.width+1]
		d := f.c * p[len(p)-f.outputs+k]
		f.rows.Add(i, d, g[:f.width])
		g[f.width] += d
	}
}

// score fills p with the scores of row i; of two classes the first has 0.
func score(rows Rows, i int, w [][]float64, p []float64) {
	p[0] = 0
	for k, v := range w {
		n := len(v) - 1
		p[len(p)-len(w)+k] = rows.Dot(i, v[:n]) + v[n]
	}
}

// logSum returns ln Σ eˣ.
func logSum(x []float64) float64 {
	most, sum := slices.Max(x), 0.0
	for _, v := range x {
		sum += math.Exp(v - most)
	}
	return most + math.Log(sum)
}

// softmax makes probabilities of scores.
func softmax(x []float64) {
	l := logSum(x)
	for k, v := range x {
		x[k] = math.Exp(v - l)
	}
}

// Predict returns the likeliest class of row i, the first of equals.
func (m *Model) Predict(rows Rows, i int) int {
	p := make([]float64, m.Classes)
	score(rows, i, m.W, p)
	return slices.Index(p, slices.Max(p))
}

// Accuracy returns the share of rows whose likeliest class is their label.
func (m *Model) Accuracy(rows Rows, labels []int) float64 {
	right := 0
	for i, label := range labels {
		if m.Predict(rows, i) == label {
			right++
		}
	}
	return float64(right) / float64(len(labels))
}
