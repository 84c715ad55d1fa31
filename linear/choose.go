package linear

import (
	"fmt"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"carillon/job"
)

// Strengths are the values of C that Choose tries: penalties from strong to weak.
var Strengths = []float64{0.001, 0.01, 0.1, 1, 10, 100, 1000}

// folds of a cross-validation.
const folds = 5

// Choose returns the C among Strengths with the best accuracy in five-fold
// cross-validation, the smallest of equals, and fits with it on all rows. seed
// draws the folds.
func Choose(rows Rows, labels []int, classes int, seed uint64) (m *Model, c, accuracy float64, err error) {
	if rows.Len() < folds {
		return nil, 0, 0, fmt.Errorf("%d rows; want at least %d for cross-validation", rows.Len(), folds)
	}
	if err := check(rows, labels, classes, 1); err != nil {
		return nil, 0, 0, err
	}
	gram, whites := gramOf(rows), make([]whitening, len(Strengths))
	for k, try := range Strengths {
		whites[k] = whiten(gram, try)
	}
	right := make([]atomic.Int64, len(Strengths))
	err = eachFold(len(labels), Folds(seed), func(at, test []int) error {
		train := Some(rows, at)
		var w []float64 // a weaker penalty begins where a stronger one ended
		for k, try := range Strengths {
			var m *Model
			var err error
			if w, m, err = fitFrom(w, whites[k], train, train.pick(labels), classes, try, roughly); err != nil {
				return err
			}
			for _, i := range test {
				if m.Predict(rows, i) == labels[i] {
					right[k].Add(1)
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, 0, 0, err
	}
	white := whitening{}
	for k, try := range Strengths {
		if share := float64(right[k].Load()) / float64(rows.Len()); c == 0 || share > accuracy {
			c, accuracy, white = try, share, whites[k]
		}
	}
	_, m, err = fitFrom(nil, white, rows, labels, classes, c, 1e-9)
	return m, c, accuracy, err
}

// roughly is how near to the minimum a fit goes that is only to be compared.
const roughly = 1e-6

// Folds is the key that a seed draws folds with.
func Folds(seed uint64) job.Key { return job.NewKey(seed, job.ForSplit, job.NameWord("folds")) }

// CrossValidate counts the labels that are told right in five-fold
// cross-validation: fit gets the numbers of the rows in four folds, and returns
// what tells the class of a row in the fifth. key draws the folds. They are fitted
// at once.
func CrossValidate(labels []int, key job.Key, fit func(train []int) (predict func(i int) int, err error)) (int, error) {
	var right atomic.Int64
	err := eachFold(len(labels), key, func(train, test []int) error {
		predict, err := fit(train)
		if err != nil {
			return err
		}
		for _, i := range test {
			if predict(i) == labels[i] {
				right.Add(1)
			}
		}
		return nil
	})
	return int(right.Load()), err
}

// eachFold calls fn for each fold at once, with the numbers of the rows outside it
// and in it.
func eachFold(rows int, key job.Key, fn func(train, test []int) error) error {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for fold := range uint32(folds) {
		var train, test []int
		for i := range rows {
			if key.At(uint64(i))%folds == fold {
				test = append(test, i)
			} else {
				train = append(train, i)
			}
		}
		if len(test) > 0 && len(train) > 0 {
			g.Go(func() error { return fn(train, test) })
		}
	}
	return g.Wait()
}

// Some returns the rows with those numbers.
func Some(rows Rows, at []int) Subset { return Subset{rows, at} }

// Subset is some of the rows.
type Subset struct {
	Rows
	at []int
}

// Len returns the number of rows.
func (s Subset) Len() int { return len(s.at) }

// Dot returns the product of row i and w.
func (s Subset) Dot(i int, w []float64) float64 { return s.Rows.Dot(s.at[i], w) }

// Add adds x times row i to w.
func (s Subset) Add(i int, x float64, w []float64) { s.Rows.Add(s.at[i], x, w) }

func (s Subset) pick(labels []int) (picked []int) {
	for _, i := range s.at {
		picked = append(picked, labels[i])
	}
	return picked
}
