package linear

import (
	"math"
	"slices"
	"testing"

	"carillon/job"
)

// cloud draws rows round a place of each class.
func cloud(n, width, classes int, spread float64) (Dense, []int) {
	key := job.NewKey(1, job.ForSplit)
	var x []float32
	var labels []int
	for i := range n {
		label := i % classes
		for j := range width {
			at := 0.0
			if j%classes == label {
				at = 1
			}
			x = append(x, float32(at+spread*(2*float64(key.Uniform(uint64(i*width+j)))-1)))
		}
		labels = append(labels, label)
	}
	return NewDense(x, width), labels
}

func TestFitTellsCloudsApart(t *testing.T) {
	for _, classes := range []int{2, 3, 5} {
		rows, labels := cloud(200, 10, classes, 0.8)
		m, err := Fit(rows, labels, classes, 1)
		if err != nil {
			t.Fatal(err)
		}
		if a := m.Accuracy(rows, labels); a < 0.95 {
			t.Errorf("%d classes: accuracy %v", classes, a)
		}
		again, err := Fit(rows, labels, classes, 1)
		if err != nil || !slices.EqualFunc(m.W, again.W, slices.Equal[[]float64]) {
			t.Errorf("%d classes: the same rows give other weights (%v)", classes, err)
		}
	}
}

// fitOf is a problem of all rows.
func fitOf(rows Rows, y answers, c float64) *fit {
	x, _ := newTable(rows, [][]int{numbered(rows.Len())}).but(everything)
	f := newFit(x, y, rows.Width())
	f.c = c
	return f
}

// At the minimum the gradient is zero: the weights are C times the sum of what the
// answers lack, and each class is predicted as often as it is there.
func TestFitStopsAtTheMinimum(t *testing.T) {
	for _, n := range []int{2, 4} {
		rows, labels := cloud(120, 8, n, 1.5)
		m, err := Fit(rows, labels, n, 0.7)
		if err != nil {
			t.Fatal(err)
		}
		f := fitOf(rows, classes{labels, n}, 0.7)
		grad := make([]float64, len(f.w))
		f.loss(slices.Concat(m.W...), grad)
		for i, g := range grad {
			if math.Abs(g) > 1e-2 {
				t.Errorf("%d classes: gradient %d is %v", n, i, g)
			}
		}
	}
}

func TestGradientIsThatOfTheLoss(t *testing.T) {
	for _, n := range []int{2, 3} {
		rows, labels := cloud(20, 4, n, 1)
		f := fitOf(rows, classes{labels, n}, 2)
		x := make([]float64, len(f.w))
		for i := range x {
			x[i] = math.Sin(float64(i))
		}
		grad := make([]float64, len(x))
		unused := make([]float64, len(x))
		f.loss(x, grad)
		for i := range x {
			up, down := slices.Clone(x), slices.Clone(x)
			up[i] += 1e-6
			down[i] -= 1e-6
			if want := (f.loss(up, unused) - f.loss(down, unused)) / 2e-6; math.Abs(grad[i]-want) > 1e-5*max(1, math.Abs(want)) {
				t.Errorf("%d classes: gradient %d is %v, differences give %v", n, i, grad[i], want)
			}
		}
	}
}

func TestChooseTakesTheStrengthThatGeneralises(t *testing.T) {
	rows, labels := cloud(200, 40, 2, 4) // few rows, much noise: a weak penalty learns it by heart
	_, c, accuracy, err := Choose(rows, labels, 2, 7)
	if err != nil || c >= 1 || accuracy < 0.85 {
		t.Errorf("C %v with accuracy %v (%v), want a strong penalty", c, accuracy, err)
	}
}

func TestFitRefuses(t *testing.T) {
	rows, labels := cloud(10, 4, 2, 1)
	for name, try := range map[string]func() error{
		"one class":     func() error { _, err := Fit(rows, labels, 1, 1); return err },
		"labels":        func() error { _, err := Fit(rows, labels[:5], 2, 1); return err },
		"label":         func() error { _, err := Fit(rows, append(slices.Clone(labels[:9]), 2), 2, 1); return err },
		"strength":      func() error { _, err := Fit(rows, labels, 2, math.NaN()); return err },
		"few to choose": func() error { _, _, _, err := Choose(NewDense(make([]float32, 8), 4), []int{0, 1}, 2, 1); return err },
	} {
		if try() == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
