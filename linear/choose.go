package linear

import "fmt"

// Strengths are the values of C that are tried: penalties from strong to weak.
var Strengths = []float64{0.001, 0.01, 0.1, 1, 10, 100, 1000}

// Choose returns the C among Strengths with the best accuracy in five-fold
// cross-validation, the smallest of equals, and fits with it on all rows. No weaker
// penalty is tried once two in a row tell less than the best one. seed draws the
// folds.
func Choose(rows Rows, labels []int, n int, seed uint64) (m *Model, c, accuracy float64, err error) {
	if err := check(rows, labels, n, 1); err != nil {
		return nil, 0, 0, err
	}
	w, c, missed, err := choose(rows, classes{labels, n}, seed)
	if err != nil {
		return nil, 0, 0, err
	}
	return modelOf(w, rows.Width(), n), c, (float64(len(labels)) - missed) / float64(len(labels)), nil
}

// ChooseRidge returns the C among Strengths with the smallest mean squared error in
// five-fold cross-validation, which it returns too, and the weights of each number
// of a row, the intercept after them, that minimise C times the squared errors on
// all rows, summed, plus half the squared weights (Hoerl and Kennard, 1970).
func ChooseRidge(rows Rows, targets []float64, seed uint64) (w []float64, c, squared float64, err error) {
	if rows.Len() != len(targets) {
		return nil, 0, 0, fmt.Errorf("%d rows with %d numbers; want as many", rows.Len(), len(targets))
	}
	for i, y := range targets {
		if y-y != 0 {
			return nil, 0, 0, fmt.Errorf("target %d is %v; want a finite number", i, y)
		}
	}
	w, c, missed, err := choose(rows, numbers(targets), seed)
	return w, c, missed / float64(len(targets)), err
}

// choose returns the weights with the C that misses least.
func choose(rows Rows, y answers, seed uint64) (w []float64, c, least float64, err error) {
	if rows.Len() < folds {
		return nil, 0, 0, fmt.Errorf("%d rows; want at least %d for cross-validation", rows.Len(), folds)
	}
	v := newValidation(rows, y, seed)
	best, worse := 0, 0
	for k, try := range Strengths {
		missed, err := v.missed(try)
		if err != nil {
			return nil, 0, 0, err
		}
		if worse++; k == 0 || missed < least {
			best, least, worse = k, missed, 0
		} else if missed == least {
			worse = 0
		}
		if worse == 2 {
			break
		}
	}
	c = Strengths[best]
	x, at := v.table.but(everything)
	f := newFit(x, y.some(at), rows.Width())
	err = f.solve(c, whiten(v.gram, c*y.curvature()), converged)
	return f.w, c, least, err
}
