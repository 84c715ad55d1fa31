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
// [0, n), one a row), summed, plus half the squared weights; intercepts are
// free. These are the loss and the C of scikit-learn's LogisticRegression.
func Fit(rows Rows, labels []int, n int, c float64) (*Model, error) {
	if err := check(rows, labels, n, c); err != nil {
		return nil, err
	}
	t, y := newTable(rows, [][]int{numbered(rows.Len())}), classes{labels, n}
	x, _ := t.but(everything)
	f := newFit(x, y, rows.Width())
	err := f.solve(c, whiten(t.gram(), c*y.curvature()), converged)
	return modelOf(f.w, rows.Width(), n), err
}

// modelOf cuts weights [outputs, width+1] of n classes.
func modelOf(w []float64, width, n int) *Model {
	m := &Model{Classes: n}
	for v := range slices.Chunk(w, width+1) {
		m.W = append(m.W, v)
	}
	return m
}

// numbered returns 0 to n-1.
func numbered(n int) []int {
	at := make([]int, n)
	for i := range at {
		at[i] = i
	}
	return at
}

// Problem is a loss that is computed with its gradient, once where both are asked
// for: loss fills grad.
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

// Predict returns the likeliest class of row i, the first of equals.
func (m *Model) Predict(rows Rows, i int) int {
	p := make([]float64, m.Classes)
	for k, v := range m.W { // of two classes the first has 0
		n := len(v) - 1
		p[len(p)-len(m.W)+k] = rows.Dot(i, v[:n]) + v[n]
	}
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
