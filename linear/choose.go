package linear

import (
	"fmt"

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
	key := Folds(seed)
	for _, try := range Strengths {
		right, err := validate(rows, labels, classes, try, key)
		if err != nil {
			return nil, 0, 0, err
		}
		if share := float64(right) / float64(rows.Len()); c == 0 || share > accuracy {
			c, accuracy = try, share
		}
	}
	m, err = Fit(rows, labels, classes, c)
	return m, c, accuracy, err
}

// Folds is the key that a seed draws folds with.
func Folds(seed uint64) job.Key { return job.NewKey(seed, job.ForSplit, job.NameWord("folds")) }

// validate counts the right answers on each fold of what was fitted on the others.
func validate(rows Rows, labels []int, classes int, c float64, key job.Key) (right int, err error) {
	return CrossValidate(labels, key, func(at []int) (func(i int) int, error) {
		train := Some(rows, at)
		m, err := Fit(train, train.pick(labels), classes, c)
		return func(i int) int { return m.Predict(rows, i) }, err
	})
}

// CrossValidate counts the labels that are told right in five-fold
// cross-validation: fit gets the numbers of the rows in four folds, and returns
// what tells the class of a row in the fifth. key draws the folds.
func CrossValidate(labels []int, key job.Key, fit func(train []int) (predict func(i int) int, err error)) (right int, err error) {
	for fold := range uint32(folds) {
		var train, test []int
		for i := range labels {
			if key.At(uint64(i))%folds == fold {
				test = append(test, i)
			} else {
				train = append(train, i)
			}
		}
		if len(test) == 0 || len(train) == 0 {
			continue
		}
		predict, err := fit(train)
		if err != nil {
			return 0, err
		}
		for _, i := range test {
			if predict(i) == labels[i] {
				right++
			}
		}
	}
	return right, nil
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
