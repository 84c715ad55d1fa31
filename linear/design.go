package linear

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
)

// design is the rows of a problem, each with a 1 after it, as what multiplies
// weights w [outputs, width+1].
type design interface {
	// scores fills s [rows, outputs] with X·wᵀ.
	scores(w, s []float64)
	// gradient adds dᵀ·X to g [outputs, width+1], for d [rows, outputs].
	gradient(d, g []float64)
}

// sparse are rows that multiply one by one.
type sparse struct {
	rows Rows
	at   []int // their numbers
}

func (x sparse) scores(w, s []float64) {
	n := x.rows.Width()
	outputs := len(w) / (n + 1)
	for r, i := range x.at {
		for k := range outputs {
			v := w[k*(n+1):][:n+1]
			s[r*outputs+k] = x.rows.Dot(i, v[:n]) + v[n]
		}
	}
}

func (x sparse) gradient(d, g []float64) {
	n := x.rows.Width()
	outputs := len(g) / (n + 1)
	for r, i := range x.at {
		for k := range outputs {
			v, a := g[k*(n+1):][:n+1], d[r*outputs+k]
			x.rows.Add(i, a, v[:n])
			v[n] += a
		}
	}
}

// dense are rows that lie one after the other, in parts.
type dense []blas64.General

// matrixOf lays out rows by their numbers, each with a 1 after it.
func matrixOf(rows Rows, at []int) blas64.General {
	n := rows.Width() + 1
	x := blas64.General{Rows: len(at), Cols: n, Stride: n, Data: make([]float64, len(at)*n)}
	for r, i := range at {
		row := x.Data[r*n:][:n]
		rows.Add(i, 1, row[:n-1])
		row[n-1] = 1
	}
	return x
}

func (x dense) scores(w, s []float64) {
	for _, part := range x {
		outputs := len(w) / part.Cols
		here := s[:part.Rows*outputs]
		if s = s[len(here):]; outputs == 1 {
			blas64.Gemv(blas.NoTrans, 1, part, vector(w), 0, vector(here))
			continue
		}
		blas64.Gemm(blas.NoTrans, blas.Trans, 1, part, matrix(w, outputs, part.Cols), 0, matrix(here, part.Rows, outputs))
	}
}

func (x dense) gradient(d, g []float64) {
	for _, part := range x {
		outputs := len(g) / part.Cols
		here := d[:part.Rows*outputs]
		if d = d[len(here):]; outputs == 1 {
			blas64.Gemv(blas.Trans, 1, part, vector(here), 1, vector(g))
			continue
		}
		blas64.Gemm(blas.Trans, blas.NoTrans, 1, matrix(here, part.Rows, outputs), part, 1, matrix(g, outputs, part.Cols))
	}
}

func vector(x []float64) blas64.Vector { return blas64.Vector{N: len(x), Inc: 1, Data: x} }

func matrix(x []float64, rows, cols int) blas64.General {
	return blas64.General{Rows: rows, Cols: cols, Stride: cols, Data: x}
}
