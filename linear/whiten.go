package linear

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// widest is the width up to which a matrix of width x width is worth its making.
const widest = 1024

// gramOf returns Σ x·xᵀ over the rows, each with a 1 after it; nil if they are wide.
func gramOf(rows Rows) *mat.SymDense {
	n := rows.Width() + 1
	if n > widest {
		return nil
	}
	const chunk = 256
	gram, x := blas64.Symmetric{N: n, Stride: n, Uplo: blas.Upper, Data: make([]float64, n*n)}, make([]float64, chunk*n)
	for from := 0; from < rows.Len(); from += chunk {
		to := min(from+chunk, rows.Len())
		clear(x)
		for i := from; i < to; i++ {
			row := x[(i-from)*n:][:n]
			rows.Add(i, 1, row[:n-1])
			row[n-1] = 1
		}
		blas64.Syrk(blas.Trans, 1, blas64.General{Rows: to - from, Cols: n, Stride: n, Data: x}, 1, gram)
	}
	return mat.NewSymDense(n, gram.Data)
}

// whitening is a change of variables z = Lᵀ·w in which the loss is nearly round, so
// that few steps suffice: L·Lᵀ is the penalty's and the most that the likelihood's
// second derivative can be (Böhning, 1992), c/4·Σ x·xᵀ. Without L it changes nothing.
type whitening struct{ l *mat.TriDense }

// whiten returns the whitening for rows with that gram, or some of them.
func whiten(gram *mat.SymDense, c float64) (w whitening) {
	if gram == nil {
		return w
	}
	n := gram.SymmetricDim()
	most := mat.NewSymDense(n, nil)
	most.ScaleSym(c/4, gram)
	for i := range n - 1 {
		most.SetSym(i, i, most.At(i, i)+1)
	}
	var chol mat.Cholesky
	if chol.Factorize(most) {
		w.l = mat.NewTriDense(n, mat.Lower, nil)
		chol.LTo(w.l)
	}
	return w
}

// into, back and gradient turn the weights w into z, z into w, and the gradient by
// w into that by z, in place, vector by vector.
func (w whitening) into(x []float64) {
	w.each(x, func(l blas64.Triangular, v blas64.Vector) { blas64.Trmv(blas.Trans, l, v) })
}

func (w whitening) back(x []float64) {
	w.each(x, func(l blas64.Triangular, v blas64.Vector) { blas64.Trsv(blas.Trans, l, v) })
}

func (w whitening) gradient(x []float64) {
	w.each(x, func(l blas64.Triangular, v blas64.Vector) { blas64.Trsv(blas.NoTrans, l, v) })
}

func (w whitening) each(x []float64, fn func(l blas64.Triangular, v blas64.Vector)) {
	if w.l == nil {
		return
	}
	l := w.l.RawTriangular()
	for ; len(x) > 0; x = x[l.N:] {
		fn(l, blas64.Vector{N: l.N, Inc: 1, Data: x[:l.N]})
	}
}
