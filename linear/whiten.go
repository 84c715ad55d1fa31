package linear

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// whitening is a change of variables z = Lᵀ·w in which the loss is nearly round, so
// that few steps suffice: L·Lᵀ is the penalty's second derivative plus the most that
// the answers' can be (Böhning, 1992), a share of Σ x·xᵀ. Without L it changes
// nothing.
type whitening struct{ l *mat.TriDense }

// whiten returns the whitening for rows with that gram, or some of them; nil: none.
func whiten(gram *mat.SymDense, share float64) (w whitening) {
	if gram == nil {
		return w
	}
	n := gram.SymmetricDim()
	most := mat.NewSymDense(n, nil)
	most.ScaleSym(share, gram)
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
