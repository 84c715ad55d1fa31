package linear

import (
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// Rows up to widest numbers are worth a matrix of width x width, and all rows as one
// matrix, of at most largest numbers (1 GiB), are worth their memory.
const (
	widest  = 1024
	largest = 1 << 27
)

// table is all rows, fold by fold.
type table struct {
	rows  Rows
	folds [][]int // numbers of the rows
	parts dense   // one for each fold; nil: rows are wide, or too many
}

func newTable(rows Rows, folds [][]int) *table {
	t := &table{rows: rows, folds: folds}
	if n := rows.Width() + 1; n <= widest+1 && rows.Len()*n <= largest {
		for _, at := range folds {
			t.parts = append(t.parts, matrixOf(rows, at))
		}
	}
	return t
}

// everything is the fold that but leaves out where all rows are wanted.
const everything = -1

// but returns all rows but those of a fold, and their numbers.
func (t *table) but(fold int) (design, []int) {
	var at []int
	var parts dense
	for k := range t.folds {
		if k == fold {
			continue
		}
		at = append(at, t.folds[k]...)
		if t.parts != nil {
			parts = append(parts, t.parts[k])
		}
	}
	if t.parts == nil {
		return sparse{t.rows, at}, at
	}
	return parts, at
}

// only returns the rows of a fold.
func (t *table) only(fold int) design {
	if t.parts == nil {
		return sparse{t.rows, t.folds[fold]}
	}
	return t.parts[fold : fold+1]
}

// gram returns Σ x·xᵀ over the rows, each with a 1 after it; nil if they are no
// matrix.
func (t *table) gram() *mat.SymDense {
	if t.parts == nil {
		return nil
	}
	n := t.rows.Width() + 1
	g := blas64.Symmetric{N: n, Stride: n, Uplo: blas.Upper, Data: make([]float64, n*n)}
	for _, part := range t.parts {
		blas64.Syrk(blas.Trans, 1, part, 1, g)
	}
	return mat.NewSymDense(n, g.Data)
}
