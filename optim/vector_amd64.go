package optim

import "golang.org/x/sys/cpu"

// Two divisions and a root are most of an update's work. AVX does eight values
// at once, in the same order with the same roundings, so with the same bits: all
// of it is IEEE 754, which has one right answer.

// vectors says whether this CPU can; tests switch it.
var vectors = cpu.X86.HasAVX

// applyVectors does apply's work for the first values and returns how many. The
// vectors are of one length.
func (c *constants) applyVectors(w, g, m, v []float32) int {
	n := len(w) &^ 7
	if !vectors || n == 0 {
		return 0
	}
	applyAVX(&w[0], &g[0], &m[0], &v[0], n, c)
	return n
}

// divideVectors does divide's work for the first values and returns how many.
func divideVectors(g []float32, d float64) int {
	n := len(g) &^ 7
	if !vectors || n == 0 {
		return 0
	}
	divideAVX(&g[0], n, d)
	return n
}

// n is a multiple of 8, not 0, here and below.
//
//go:noescape
func divideAVX(values *float32, n int, by float64)

//go:noescape
func applyAVX(w, grad, m, v *float32, n int, c *constants)
