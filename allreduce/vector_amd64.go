package allreduce

import (
	"golang.org/x/sys/cpu"

	"carillon/job"
)

// Of a large gradient every pass counts, and the noise is most of quantizing's work:
// five multiplications a value. AVX2 does eight values at once, and gives the same bits:
// integers, one exact product, one addition rounded to nearest, one rounding down.

// vectors says whether this CPU can; tests switch it.
var vectors = cpu.X86.HasAVX2

// constants is what the assembly holds in registers: a key at a place in the
// vector, and what to do with the noise.
type constants struct {
	first, k0, high, k1 uint32
	shift               uint32 // of the exponent field, or to the right
	lowest              uint32 // addNoisy's
	mask                uint32 // shiftNoisy's
}

// at holds for a run of indices whose high 32 bits are equal, as in a block.
func at(noise job.Key, first uint64) constants {
	const golden = 0x9E3779B9 // as in Key.At
	return constants{first: uint32(first), k0: noise[0], high: uint32(first>>32) * golden, k1: noise[1]}
}

// addNoisyVectors does addNoisy's work for the first values of a block and
// returns how many.
func addNoisyVectors(sum []int32, shift, lowest uint32, g []float32, noise job.Key, first uint64) int {
	n := len(g) &^ 7
	if !vectors || n == 0 {
		return 0
	}
	k := at(noise, first)
	k.shift, k.lowest = shift, lowest
	addNoisyAVX2(&sum[0], &g[0], n, &k)
	return n
}

// shiftNoisyVectors does shiftNoisy's work for the first values of a block and
// returns how many.
func shiftNoisyVectors(sum []int32, shift int, noise job.Key, first uint64) int {
	n := len(sum) &^ 7
	if !vectors || n == 0 {
		return 0
	}
	k := at(noise, first)
	k.shift, k.mask = uint32(shift), 1<<shift-1
	shiftNoisyAVX2(&sum[0], n, &k)
	return n
}

// maxMagnitudeVectors returns the largest of the first values' bits without their
// signs, and of how many values that is.
func maxMagnitudeVectors(g []float32) (top uint32, n int) {
	n = len(g) &^ 31
	if !vectors || n == 0 {
		return 0, 0
	}
	return maxMagnitudeAVX2(&g[0], n), n
}

// extremesVectors returns the least and the greatest of 0 and the first values, and of
// how many values that is.
func extremesVectors(s []int32) (low, high int32, n int) {
	n = len(s) &^ 15
	if !vectors || n == 0 {
		return 0, 0, 0
	}
	low, high = extremesAVX2(&s[0], n)
	return low, high, n
}

// dequantizeVectors does dequantizeBlock's work for the first values, and returns the
// largest exponent field, in place, and of how many values that is.
func dequantizeVectors(dst []float32, sum []int32, f1, f2 float32) (top uint32, n int) {
	n = len(sum) &^ 7
	if !vectors || n == 0 {
		return 0, 0
	}
	return dequantizeAVX2(&dst[0], &sum[0], n, f1, f2), n
}

// n is a multiple of 16, not 0.
//
//go:noescape
func extremesAVX2(values *int32, n int) (low, high int32)

// n is a multiple of 8, not 0.
//
//go:noescape
func dequantizeAVX2(dst *float32, sum *int32, n int, f1, f2 float32) uint32

// n is a multiple of 32, not 0.
//
//go:noescape
func maxMagnitudeAVX2(values *float32, n int) uint32

// n is a multiple of 8, not 0.
//
//go:noescape
func addNoisyAVX2(sum *int32, values *float32, n int, k *constants)

// n is a multiple of 8, not 0; k.shift is 1 to 31.
//
//go:noescape
func shiftNoisyAVX2(sum *int32, n int, k *constants)
