package linear

import (
	"math"
	"runtime"
	"slices"
	"testing"

	"carillon/job"
)

// rowByRow are rows too wide for a matrix, to those who ask.
type rowByRow struct{ Dense }

func (r rowByRow) Width() int { return widest + 1 }

func (r rowByRow) Dot(i int, w []float64) float64    { return r.Dense.Dot(i, w[:r.width]) }
func (r rowByRow) Add(i int, x float64, w []float64) { r.Dense.Add(i, x, w[:r.width]) }

// Rows that are no matrix give the same model to some digits.
func TestRowsNeedNotBeAMatrix(t *testing.T) {
	for _, n := range []int{2, 3} {
		rows, labels := cloud(100, 6, n, 1.5)
		want, c, a, err := Choose(rows, labels, n, 3)
		got, c2, a2, err2 := Choose(rowByRow{rows}, labels, n, 3)
		if err != nil || err2 != nil || c != c2 || math.Abs(a-a2) > 0.02 {
			t.Fatalf("%d classes: C %v with %v (%v), and row by row %v with %v (%v)", n, c, a, err, c2, a2, err2)
		}
		for k, w := range want.W {
			for j, x := range got.W[k][:6] {
				if math.Abs(x-w[j]) > 1e-3*max(1, math.Abs(w[j])) {
					t.Errorf("%d classes: weight %d of %d is %v row by row, want %v", n, j, k, x, w[j])
				}
			}
		}
	}
}

func TestThreadsDoNotChangeBits(t *testing.T) {
	rows, labels := cloud(300, 12, 3, 2)
	var first *Model
	for _, threads := range []int{1, 3} {
		before := runtime.GOMAXPROCS(threads)
		m, _, _, err := Choose(rows, labels, 3, 5)
		runtime.GOMAXPROCS(before)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = m
		} else if !slices.EqualFunc(first.W, m.W, slices.Equal[[]float64]) {
			t.Errorf("%d threads give other weights", threads)
		}
	}
}

// line draws rows and what a plane gives for them, with noise.
func line(n int, noise float64) (Dense, []float64) {
	rows, _ := cloud(n, 4, 2, 2)
	key := job.NewKey(2, job.ForSplit)
	var y []float64
	for i := range n {
		y = append(y, 5+rows.Dot(i, []float64{1, -2, 0, 3})+noise*(2*float64(key.Uniform(uint64(i)))-1))
	}
	return rows, y
}

func TestRidgeFindsThePlane(t *testing.T) {
	rows, y := line(80, 0)
	w, c, squared, err := ChooseRidge(rows, y, 1)
	if err != nil || c != 1000 || squared > 1e-4 {
		t.Fatalf("C %v, squared error %v (%v), want the weakest penalty and none", c, squared, err)
	}
	for j, want := range []float64{1, -2, 0, 3, 5} {
		if math.Abs(w[j]-want) > 1e-3 {
			t.Errorf("weight %d is %v, want %v", j, w[j], want)
		}
	}
}

// Much noise on few rows asks for a penalty; where it ends the gradient is zero.
func TestRidgeStopsAtTheMinimum(t *testing.T) {
	rows, y := line(12, 40)
	w, c, _, err := ChooseRidge(rows, y, 1)
	if err != nil || c >= 1 {
		t.Fatalf("C %v (%v), want a strong penalty", c, err)
	}
	grad := make([]float64, len(w))
	fitOf(rows, numbers(y), c).loss(w, grad)
	for i, g := range grad {
		if math.Abs(g) > 1e-5 {
			t.Errorf("gradient %d is %v", i, g)
		}
	}
	if _, _, _, err := ChooseRidge(rows, append(slices.Clone(y[:11]), math.NaN()), 1); err == nil {
		t.Error("NaN: no error")
	}
}
