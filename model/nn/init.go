package nn

import "carillon/job"

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
// given standard deviation: the sum of twelve uniform numbers minus 6, which needs
// no function whose bits differ between machines.
func Normal(std float64) Init {
	return func(key job.Key, dst []float32) {
		for i := range dst {
			sum := -6.0
			for j := range 12 {
				sum += float64(key.Uniform(uint64(12*i + j)))
			}
			dst[i] = float32(std * sum)
		}
	}
}
