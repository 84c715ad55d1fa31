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
	key := job.NewKey(seed, job.ForSplit, job.NameWord("folds"))
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

// validate counts the right answers on each fold of what was fitted on the others.
func validate(rows Rows, labels []int, classes int, c float64, key job.Key) (right int, err error) {
	for fold := range uint32(folds) {
		var train, test subset
		train.Rows, test.Rows = rows, rows
		for i := range rows.Len() {
			if key.At(uint64(i))%folds == fold {
				test.at = append(test.at, i)
			} else {
				train.at = append(train.at, i)
			}
		}
		if len(test.at) == 0 || len(train.at) == 0 {
			continue
		}
		m, err := Fit(train, train.pick(labels), classes, c)
		if err != nil {
			return 0, err
		}
		for i, label := range test.pick(labels) {
			if m.Predict(test, i) == label {
				right++
			}
		}
	}
	return right, nil
}

// subset is some of the rows.
type subset struct {
	Rows
	at []int
}

func (s subset) Len() int                          { return len(s.at) }
func (s subset) Dot(i int, w []float64) float64    { return s.Rows.Dot(s.at[i], w) }
func (s subset) Add(i int, x float64, w []float64) { s.Rows.Add(s.at[i], x, w) }
func (s subset) pick(labels []int) (picked []int) {
	for _, i := range s.at {
		picked = append(picked, labels[i])
	}
	return picked
}
