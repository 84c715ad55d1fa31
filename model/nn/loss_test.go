package nn

import (
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"carillon/backend"
	"carillon/backend/backendtest"
)

// Losses of rows, and their gradients, are those of the formulas; rows that are
// not asked for add nothing to either.
func TestLossesOfRows(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, be *backend.Backend) {
		logits := [][]float32{{1, 2, 3}, {0, 0, 0}, {5, -1, 0.5}}
		target := []int32{2, Ignored, 1}
		checkRows(t, be, logits, target, func(x, target *Node) *Node { return ClassLoss(x, target, nil) }, []float64{1, 0, 1}, nll)
		checkRows(t, be, logits, target, func(x, target *Node) *Node { return ClassLoss(x, target, []float32{3, 0.5, 2}) }, []float64{2, 0, 0.5}, nll)
		values := []int32{int32(math.Float32bits(0.25)), Ignored, int32(math.Float32bits(-3))}
		checkRows(t, be, [][]float32{{1}, {9}, {-2}}, values, SquaredLoss, []float64{1, 0, 1}, square)
	})
}

// checkRows compares a loss with the weighted sum of what each row's is, and its
// gradient with the weighted derivatives.
func checkRows(t *testing.T, be *backend.Backend, x [][]float32, target []int32, loss func(x, target *Node) *Node, weights []float64, row func(x []float32, target int32) (float64, []float64)) {
	t.Helper()
	out, err := CallOnceN(be.Compute(), func(x, target *Node) []*Node {
		y := loss(x, target)
		return []*Node{y, Gradient(y, x)[0]}
	}, x, target)
	if err != nil {
		t.Fatal(err)
	}
	sum, grad := 0.0, tensors.MustCopyFlatData[float32](out[1])
	for r, w := range weights {
		value, derivatives := row(x[r], target[r])
		if w > 0 {
			sum += w * value
		}
		for i, d := range derivatives {
			if got := float64(grad[r*len(x[r])+i]); w == 0 && got != 0 || w > 0 && math.Abs(got-w*d) > 1e-5 {
				t.Errorf("gradient of row %d, element %d is %v, want %v", r, i, got, w*d)
			}
		}
	}
	if got := float64(tensors.ToScalar[float32](out[0])); math.Abs(got-sum) > 1e-5 {
		t.Errorf("loss %v, want %v", got, sum)
	}
}

func nll(x []float32, class int32) (value float64, derivatives []float64) {
	sum := 0.0
	for _, v := range x {
		sum += math.Exp(float64(v))
	}
	for i, v := range x {
		p := math.Exp(float64(v)) / sum
		if int32(i) == class {
			value, p = -math.Log(p), p-1
		}
		derivatives = append(derivatives, p)
	}
	return value, derivatives
}

func square(x []float32, target int32) (float64, []float64) {
	d := float64(x[0] - math.Float32frombits(uint32(target)))
	return d * d, []float64{2 * d}
}

func TestTheLastTokenIsByTheMask(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, be *backend.Backend) {
		out, err := CallOnce(be.Compute(), LastTokens, [][]int32{{1, 1, 0, 0}, {0, 1, 1, 2}, {0, 0, 0, 0}, {1, 0, 0, 0}})
		if err != nil {
			t.Fatal(err)
		}
		for r, got := range tensors.MustCopyFlatData[int32](out) {
			if want := []int32{1, 3, 0, 0}[r]; got != want {
				t.Errorf("row %d: %d, want %d", r, got, want)
			}
		}
	})
}
