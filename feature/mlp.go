package feature

import (
	"cmp"
	"context"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/optimize"

	"carillon/job"
	"carillon/linear"
)

// What an mlp's C is chosen from, and how long it is fitted for that: enough to
// tell one from another.
var strengths = []float64{0.01, 0.1, 1, 10}

const (
	tryIterations = 60
	allIterations = 500
	defaultHidden = 64
)

// chooseMLP fits a network with one hidden layer,
//
//	y = W₂·tanh(W₁·x + b₁) + b₂,
//
// to C times the negative log-likelihood of the labels, summed, plus half the
// squared weights, as in package linear. C is chosen by cross-validation, the
// smallest of equals. seed draws the folds and the first weights, uniform in
// ±1/√in.
func chooseMLP(ctx context.Context, rows linear.Rows, labels []int, classes, hidden int, seed uint64) (layers []layer, c, accuracy float64, err error) {
	hidden = cmp.Or(hidden, defaultHidden)
	for _, try := range strengths {
		right, err := linear.CrossValidate(labels, linear.Folds(seed), func(train []int) (func(i int) int, error) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			m, err := fitMLP(rows, labels, train, classes, hidden, try, seed, tryIterations)
			return func(i int) int { return m.predict(i) }, err
		})
		if err != nil {
			return nil, 0, 0, err
		}
		if share := float64(right) / float64(len(labels)); c == 0 || share > accuracy {
			c, accuracy = try, share
		}
	}
	all := make([]int, len(labels))
	for i := range all {
		all[i] = i
	}
	m, err := fitMLP(rows, labels, all, classes, hidden, c, seed, allIterations)
	if err != nil {
		return nil, 0, 0, err
	}
	w1, b1, w2, b2 := m.cut(m.x)
	return rounded(layer{m.width, w1, b1}, layer{hidden, w2, b2}), c, accuracy, nil
}

// mlp is a network being fitted to some of the rows.
type mlp struct {
	rows                   linear.Rows
	labels, train          []int
	width, hidden, outputs int
	c                      float64
	x                      []float64 // W₁ [hidden, width], b₁, W₂ [outputs, hidden], b₂

	in, h, d []float64 // of a chunk: vectors, hidden layer, what the loss asks of it
}

// chunk is how many rows are multiplied at once.
const chunk = 256

// fitMLP fits by L-BFGS. That the minimum was not quite reached is no error.
func fitMLP(rows linear.Rows, labels, train []int, classes, hidden int, c float64, seed uint64, iterations int) (*mlp, error) {
	m := &mlp{rows: rows, labels: labels, train: train, width: rows.Width(), hidden: hidden, outputs: linear.Outputs(classes), c: c}
	m.x = make([]float64, hidden*(m.width+1)+m.outputs*(hidden+1))
	w1, _, w2, _ := m.cut(m.x)
	draw(w1, m.width, job.NewKey(seed, job.ForInit, job.NameWord("hidden.weight")))
	draw(w2, hidden, job.NewKey(seed, job.ForInit, job.NameWord("output.weight")))
	m.in, m.h, m.d = make([]float64, chunk*m.width), make([]float64, chunk*hidden), make([]float64, chunk*hidden)
	result, err := optimize.Minimize(linear.Problem(m.loss), m.x, &optimize.Settings{
		GradientThreshold: 1e-5 * math.Max(1, c*float64(len(train))), MajorIterations: iterations,
		Converger: &optimize.FunctionConverge{Relative: 1e-7, Iterations: 5},
	}, &optimize.LBFGS{})
	if result == nil {
		return nil, err
	}
	m.x = result.X
	return m, nil
}

// draw fills w with the first weights of a layer.
func draw(w []float64, in int, key job.Key) {
	for i := range w {
		w[i] = (2*float64(key.Uniform(uint64(i))) - 1) / math.Sqrt(float64(in))
	}
}

// cut returns the parts of x.
func (m *mlp) cut(x []float64) (w1, b1, w2, b2 []float64) {
	n := m.hidden * m.width
	w1, b1, x = x[:n], x[n:n+m.hidden], x[n+m.hidden:]
	return w1, b1, x[:m.outputs*m.hidden], x[m.outputs*m.hidden:]
}

// loss returns the loss at x, and fills grad unless it is nil.
func (m *mlp) loss(x, grad []float64) (sum float64) {
	clear(grad)
	for at := range slices.Chunk(m.train, chunk) {
		sum += m.part(at, x, grad)
	}
	w1, _, w2, _ := m.cut(x)
	for _, w := range [][]float64{w1, w2} {
		for _, a := range w {
			sum += a * a / 2
		}
	}
	if grad != nil {
		g1, _, g2, _ := m.cut(grad)
		blas64.Axpy(1, vector(w1), vector(g1))
		blas64.Axpy(1, vector(w2), vector(g2))
	}
	return sum
}

// part is the loss of a few rows, and adds its gradient.
func (m *mlp) part(at []int, x, grad []float64) (sum float64) {
	w1, b1, w2, b2 := m.cut(x)
	in, h, d := matrix(m.in, len(at), m.width), matrix(m.h, len(at), m.hidden), matrix(m.d, len(at), m.hidden)
	m.forward(at, w1, b1)
	scores := make([]float64, max(2, m.outputs))
	var g1, gb1, g2, gb2 []float64
	if grad != nil {
		g1, gb1, g2, gb2 = m.cut(grad)
		clear(d.Data)
	}
	for r, i := range at {
		hidden := h.Data[r*m.hidden:][:m.hidden]
		m.scores(hidden, w2, b2, scores)
		norm := logSum(scores)
		sum += m.c * (norm - scores[m.labels[i]])
		if grad == nil {
			continue
		}
		for o := range m.outputs {
			k := len(scores) - m.outputs + o
			e := m.c * math.Exp(scores[k]-norm)
			if k == m.labels[i] {
				e -= m.c
			}
			gb2[o] += e
			blas64.Axpy(e, vector(hidden), vector(g2[o*m.hidden:][:m.hidden]))
			blas64.Axpy(e, vector(w2[o*m.hidden:][:m.hidden]), vector(d.Data[r*m.hidden:][:m.hidden]))
		}
	}
	if grad != nil {
		for k, v := range h.Data {
			d.Data[k] *= 1 - v*v
			gb1[k%m.hidden] += d.Data[k]
		}
		blas64.Gemm(blas.Trans, blas.NoTrans, 1, d, in, 1, matrix(g1, m.hidden, m.width))
	}
	return sum
}

// forward fills in the vectors and the hidden layer of some rows.
func (m *mlp) forward(at []int, w1, b1 []float64) {
	for r, i := range at {
		row := m.in[r*m.width:][:m.width]
		clear(row)
		m.rows.Add(i, 1, row)
		copy(m.h[r*m.hidden:], b1)
	}
	h := matrix(m.h, len(at), m.hidden)
	blas64.Gemm(blas.NoTrans, blas.Trans, 1, matrix(m.in, len(at), m.width), matrix(w1, m.hidden, m.width), 1, h)
	for k, v := range h.Data {
		h.Data[k] = math.Tanh(v)
	}
}

// scores fills s with what each class has; of two classes the first has 0.
func (m *mlp) scores(hidden, w2, b2, s []float64) {
	s[0] = 0
	for o := range m.outputs {
		s[len(s)-m.outputs+o] = b2[o] + blas64.Dot(vector(hidden), vector(w2[o*m.hidden:][:m.hidden]))
	}
}

// predict returns the likeliest class of row i, the first of equals.
func (m *mlp) predict(i int) int {
	w1, b1, w2, b2 := m.cut(m.x)
	m.forward([]int{i}, w1, b1)
	s := make([]float64, max(2, m.outputs))
	m.scores(m.h[:m.hidden], w2, b2, s)
	return slices.Index(s, slices.Max(s))
}

func vector(x []float64) blas64.Vector { return blas64.Vector{N: len(x), Inc: 1, Data: x} }

func matrix(x []float64, rows, cols int) blas64.General {
	return blas64.General{Rows: rows, Cols: cols, Stride: cols, Data: x[:rows*cols]}
}
