package linear

import (
	"runtime"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"gonum.org/v1/gonum/mat"

	"carillon/job"
)

// folds of a cross-validation.
const folds = 5

// Folds is the key that a seed draws folds with.
func Folds(seed uint64) job.Key { return job.NewKey(seed, job.ForSplit, job.NameWord("folds")) }

// validation is a cross-validation: a fit to the rows outside each fold.
type validation struct {
	table *table
	y     answers
	gram  *mat.SymDense
	fits  []*fit
}

func newValidation(rows Rows, y answers, seed uint64) *validation {
	t := newTable(rows, foldsOf(rows.Len(), Folds(seed)))
	v := &validation{table: t, y: y, gram: t.gram()}
	for fold := range t.folds {
		x, at := t.but(fold)
		v.fits = append(v.fits, newFit(x, y.some(at), rows.Width()))
	}
	return v
}

// missed is by how much all rows are told wrong with c by the fits that do not know
// them, summed. Each begins where it ended with the c before.
func (v *validation) missed(c float64) (sum float64, err error) {
	white, each := whiten(v.gram, c*v.y.curvature()), make([]float64, len(v.fits))
	err = eachFold(len(v.fits), func(fold int) error {
		if err := v.fits[fold].solve(c, white, roughly); err != nil {
			return err
		}
		each[fold] = missed(v.fits[fold].w, v.table.only(fold), v.y.some(v.table.folds[fold]))
		return nil
	})
	for _, m := range each {
		sum += m
	}
	return sum, err
}

// CrossValidate counts the labels that are told right in five-fold
// cross-validation: fit gets the numbers of the rows in four folds, and returns
// what tells the class of a row in the fifth. key draws the folds. They are fitted
// at once.
func CrossValidate(labels []int, key job.Key, fit func(train []int) (predict func(i int) int, err error)) (int, error) {
	var right atomic.Int64
	folds := foldsOf(len(labels), key)
	err := eachFold(len(folds), func(fold int) error {
		predict, err := fit(slices.Concat(slices.Concat(folds[:fold]...), slices.Concat(folds[fold+1:]...)))
		if err != nil {
			return err
		}
		for _, i := range folds[fold] {
			if predict(i) == labels[i] {
				right.Add(1)
			}
		}
		return nil
	})
	return int(right.Load()), err
}

// foldsOf deals the numbers of rows out to folds; none of them is empty.
func foldsOf(rows int, key job.Key) [][]int {
	dealt := make([][]int, folds)
	for i := range rows {
		fold := key.At(uint64(i)) % folds
		dealt[fold] = append(dealt[fold], i)
	}
	return slices.DeleteFunc(dealt, func(at []int) bool { return len(at) == 0 })
}

// eachFold calls fn for each fold at once.
func eachFold(folds int, fn func(fold int) error) error {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for fold := range folds {
		g.Go(func() error { return fn(fold) })
	}
	return g.Wait()
}
