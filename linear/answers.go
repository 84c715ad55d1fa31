package linear

import (
	"math"
	"slices"
)

// answers are what is asked for of each row.
type answers interface {
	len() int
	// outputs is the number of weight vectors.
	outputs() int
	// loss returns that of row i with scores s, and turns s into its gradient by them.
	loss(i int, s []float64) float64
	// miss is by how much row i with scores s is told wrong.
	miss(i int, s []float64) float64
	// curvature is the most that the second derivative of a row's loss can be.
	curvature() float64
	// some returns those of some rows.
	some(at []int) answers
}

// classes are labels in [0, n).
type classes struct {
	labels []int
	n      int
}

func (y classes) len() int           { return len(y.labels) }
func (y classes) outputs() int       { return Outputs(y.n) }
func (y classes) curvature() float64 { return 0.25 }
func (y classes) some(at []int) answers {
	return classes{pick(y.labels, at), y.n}
}

// loss is the negative log-likelihood of the label.
func (y classes) loss(i int, s []float64) float64 {
	label := y.labels[i]
	if len(s) == 1 {
		return ofTwo(label, s)
	}
	norm := logSum(s)
	loss := norm - s[label]
	for k, v := range s {
		s[k] = math.Exp(v - norm)
	}
	s[label]--
	return loss
}

// ofTwo is the loss of a label in [0, 2) where the first has the score 0 and the
// second s[0].
func ofTwo(label int, s []float64) float64 {
	toward := s[0]
	if label == 0 {
		toward = -toward
	}
	e := math.Exp(-math.Abs(toward))
	other := 1 / (1 + e) // the share of the class that is not the label
	if toward > 0 {
		other = e / (1 + e)
	}
	s[0] = other
	if label == 1 {
		s[0] = -other
	}
	return max(-toward, 0) + math.Log1p(e)
}

// miss is 1 where another class is likelier, the first of equals.
func (y classes) miss(i int, s []float64) float64 {
	told := slices.Index(s, slices.Max(s))
	if len(s) == 1 {
		told = 0
		if s[0] > 0 {
			told = 1
		}
	}
	if told != y.labels[i] {
		return 1
	}
	return 0
}

// numbers are what a regression is to give.
type numbers []float64

func (y numbers) len() int              { return len(y) }
func (y numbers) outputs() int          { return 1 }
func (y numbers) curvature() float64    { return 2 }
func (y numbers) some(at []int) answers { return numbers(pick(y, at)) }

// loss is the squared error.
func (y numbers) loss(i int, s []float64) float64 {
	d := s[0] - y[i]
	s[0] = 2 * d
	return d * d
}

func (y numbers) miss(i int, s []float64) float64 { return (s[0] - y[i]) * (s[0] - y[i]) }

// pick returns what stands in some places.
func pick[T any](x []T, at []int) []T {
	picked := make([]T, len(at))
	for k, i := range at {
		picked[k] = x[i]
	}
	return picked
}

// logSum returns ln Σ eˣ.
func logSum(x []float64) float64 {
	most, sum := slices.Max(x), 0.0
	for _, v := range x {
		sum += math.Exp(v - most)
	}
	return most + math.Log(sum)
}
