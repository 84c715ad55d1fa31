//go:build !amd64

package optim

// No vector code here: the plain loop does all the work.
func (*constants) applyVectors(_, _, _, _ []float32) int { return 0 }

func divideVectors(_ []float32, _ float64) int { return 0 }
