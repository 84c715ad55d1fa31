package nn

import (
	"math"

	"carillon/job"
)

// Init fills dst with a parameter's first value, drawn from key.
type Init func(key job.Key, dst []float32)

// Zero is the initial value 0.
func Zero(_ job.Key, dst []float32) { clear(dst) }

// One is the initial value 1.
func One(_ job.Key, dst []float32) {
	for i := range dst {
		dst[i] = 1
	}
}

// Uniform draws from [-bound, bound).
func Uniform(bound float64) Init {
	return func(key job.Key, dst []float32) {
		for i := range dst {
			dst[i] = float32(bound * (2*float64(key.Uniform(uint64(i))) - 1))
		}
	}
}

// Normal draws from something near the normal distribution with mean 0 and the
// given standard deviation.
func Normal(std float64) Init {
	return func(key job.Key, dst []float32) {
		for i := range dst {
			dst[i] = float32(std * bell(key, uint64(i)))
		}
	}
}

// Truncated draws as Normal does, and again what lies beyond two deviations.
func Truncated(std float64) Init {
	return func(key job.Key, dst []float32) {
		next := uint64(0)
		for i := range dst {
			x := math.Inf(1)
			for ; math.Abs(x) > 2; next++ {
				x = bell(key, next)
			}
			dst[i] = float32(std * x)
		}
	}
}

// bell is a number of deviation 1: the sum of twelve uniform numbers minus 6, which
// needs no function whose bits differ between machines.
func bell(key job.Key, i uint64) float64 {
	sum := -6.0
	for j := range uint64(12) {
		sum += float64(key.Uniform(12*i + j))
	}
	return sum
}
