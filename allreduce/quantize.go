package allreduce

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"slices"
	"unsafe"

	"carillon/job"
)

// ErrNotFinite means that the sum holds a NaN, an infinity, or a value too large
// for a float32. Every rank meets it at the same step: stop before the update.
var ErrNotFinite = errors.New("gradient is not finite")

// Codec names how a gradient is rounded; it decides the job's bits.
type Codec string

// The codecs of a recipe's `compression` key.
const (
	Q8  Codec = "q8"  // 8 bits, seeded stochastic rounding, also of the sum
	Q16 Codec = "q16" // 16 bits, to nearest
	Q32 Codec = "q32" // as many bits as V lanes leave of 31, to nearest
)

// MaxLanes is the largest number of lanes whose sum fits an int32 in every codec.
const MaxLanes = 4096

// Quantizer rounds lanes to integers on shared exponents, and sums back to
// floats. It is a value without state; its methods may run concurrently on
// different memory.
type Quantizer struct {
	codec Codec
	bits  int // b: a lane's integers are within ±2^(b-1), both ends included
}

// NewQuantizer returns the quantizer of a codec for a job of so many lanes.
func NewQuantizer(c Codec, lanes int) (Quantizer, error) {
	if lanes < 1 || lanes > MaxLanes {
		return Quantizer{}, fmt.Errorf("lanes %d is not within 1 to %d", lanes, MaxLanes)
	}
	switch c {
	case Q8:
		return Quantizer{c, 8}, nil
	case Q16:
		return Quantizer{c, 16}, nil
	case Q32:
		return Quantizer{c, 31 - bits.Len(uint(lanes-1))}, nil // 31 - ceil(log2 V)
	}
	return Quantizer{}, fmt.Errorf("compression %q is not one of q8, q16, q32", c)
}

// Bits is b: a lane's integers are within ±2^(b-1).
func (q Quantizer) Bits() int { return q.bits }

// Lane is a lane's gradient and its noise: job.NewKey(seed, job.ForRounding, step, lane).
type Lane struct {
	Gradient []float32
	Noise    job.Key
}

// SumLanes rounds each lane's gradient to integers and makes sum what they add up to:
//
//	q = floor(x * 2^(b-1) / 2^(E-126) + u)
//
// u is the lane's noise in [0, 1) at x's flat index (q8), or 1/2. exps are the agreed
// exponents, at least those of every lane; blocks of exponent 0 and 255 become zero.
// All vectors are of one length, len(exps) is its Blocks. A block of the sum stays in
// the cache until all lanes are in it.
func (q Quantizer) SumLanes(sum []int32, exps []byte, lanes ...Lane) {
	mustMatch("sum", len(sum), len(exps))
	for _, l := range lanes {
		mustMatch("gradient", len(l.Gradient), len(exps))
	}
	inParallel(len(exps), func(from, to int) {
		for b := from; b < to; b++ {
			s := block(sum, b)
			clear(s)
			if exps[b] == absent || exps[b] == notFinite {
				continue
			}
			for _, l := range lanes {
				q.addBlock(s, int(exps[b]), block(l.Gradient, b), l.Noise, uint64(b)*Block)
			}
		}
	})
}

func (q Quantizer) addBlock(sum []int32, e int, g []float32, noise job.Key, first uint64) {
	switch q.codec {
	case Q8:
		addNoisy(sum, q.bits-1+126-e, g, noise, first)
	case Q16:
		addNearest(sum, q.bits-1+126-e, g)
	case Q32:
		addNearest64(sum, q.bits-1+126-e, g)
	}
}

// addNoisy adds floor(x * 2^k + u) in float32. Multiplying by 2^k is adding k to
// the exponent field, exactly, while both values are normal; the others (lowest
// says which) count as zero, and floor(0 + u) is 0.
func addNoisy(sum []int32, k int, g []float32, noise job.Key, first uint64) {
	sum = sum[:len(g)]
	shift, lowest := uint32(k)<<23, lowestNormal(k)
	for i := addNoisyVectors(sum, shift, lowest, g, noise, first); i < len(g); i++ {
		if w := math.Float32bits(g[i]); w&exponentField > lowest {
			sum[i] += floor(math.Float32frombits(w+shift) + noise.Uniform(first+uint64(i)))
		}
	}
}

// addNearest adds floor(x * 2^k + 1/2) in float32.
func addNearest(sum []int32, k int, g []float32) {
	sum = sum[:len(g)]
	shift, lowest := uint32(k)<<23, lowestNormal(k)
	for i, x := range g {
		if w := math.Float32bits(x); w&exponentField > lowest {
			sum[i] += floor(math.Float32frombits(w+shift) + 0.5)
		}
	}
}

// addNearest64 adds floor(x * 2^k + 1/2) in float64, where 2^k and the product
// are exact.
func addNearest64(sum []int32, k int, g []float32) {
	sum = sum[:len(g)]
	scale := math.Ldexp(1, k)
	for i, x := range g {
		if math.Float32bits(x)&exponentField != 0 {
			sum[i] += int32(math.Floor(float64(float64(x)*scale) + 0.5))
		}
	}
}

const exponentField = 0xff << 23

// lowestNormal is the largest exponent field, in place, for which x or x * 2^k is
// not a normal float32.
func lowestNormal(k int) uint32 { return uint32(max(0, -k)) << 23 }

// floor is the largest integer <= x, without a branch that depends on x's sign.
// x - trunc(x) is exact and negative only where trunc rounded up. x is not -0.
func floor(x float32) int32 {
	q := int32(x)
	return q - int32(math.Float32bits(x-float32(q))>>31)
}

// Requantize rounds the finished sum of all lanes to the codec's width, in
// place, by integer operations only: a block whose largest magnitude has k bits,
// more than b-1, is shifted right by k-(b-1) after seeded noise was added, and
// its exponent grows by as much (255 when it outgrows a float32). An all-zero
// block becomes absent. sum and exps are the part of the vector that starts at
// block firstBlock; noise is job.NewKey(seed, job.ForRequantize, step), and its
// index is the flat index in the whole vector. Only q8 changes anything.
func (q Quantizer) Requantize(sum []int32, exps []byte, noise job.Key, firstBlock int) {
	mustMatch("sum", len(sum), len(exps))
	if q.codec != Q8 {
		return
	}
	inParallel(len(exps), func(from, to int) {
		for b := from; b < to; b++ {
			if exps[b] != absent && exps[b] != notFinite {
				exps[b] = q.requantizeBlock(block(sum, b), exps[b], noise, uint64(firstBlock+b)*Block)
			}
		}
	})
}

func (q Quantizer) requantizeBlock(sum []int32, e byte, noise job.Key, first uint64) byte {
	low, high := extremes(sum)
	k := bits.Len32(max(uint32(high), uint32(-low))) // of the largest magnitude
	if k == 0 {
		return absent
	}
	shift := k - (q.bits - 1)
	if shift <= 0 {
		return e
	}
	shiftNoisy(sum, shift, noise, first)
	return byte(min(int(e)+shift, notFinite))
}

// shiftNoisy makes each s (s + (noise & (2^shift - 1))) >> shift.
func shiftNoisy(sum []int32, shift int, noise job.Key, first uint64) {
	mask := uint32(1)<<shift - 1
	for i := shiftNoisyVectors(sum, shift, noise, first); i < len(sum); i++ {
		sum[i] = (sum[i] + int32(noise.At(first+uint64(i))&mask)) >> shift
	}
}

// extremes are the least and the greatest of s and 0.
func extremes(s []int32) (low, high int32) {
	low, high, done := extremesVectors(s)
	for _, x := range s[done:] {
		low, high = min(low, x), max(high, x)
	}
	return low, high
}

// atOnce is how many blocks Dequantize hands on at a time: package optim adds up the squares
// of four at once.
const atOnce = 4

// Dequantize reads the finished sum back as floats, which take the sum's memory:
//
//	float32(s) * 2^(E-126-(b-1))
//
// Results below 2^-126 are zero. then is given them in runs of four blocks, the last may
// be shorter, and where each begins: on all cores at once, and while they are in the
// cache; it may change them. Runs of which no block is present are left out: then must
// leave zeros what they are. Dequantize returns an error that wraps ErrNotFinite and
// names the first block whose exponent is 255 or whose values outgrow a float32; the
// memory must then be thrown away. len(exps) is Blocks(len(sum)).
func (q Quantizer) Dequantize(sum []int32, exps []byte, then func(from int, g []float32)) ([]float32, error) {
	mustMatch("sum", len(sum), len(exps))
	g, bad := asFloats(sum), make([]bool, len(exps))
	inParallel(len(exps), func(from, to int) {
		for first := from; first < to; first += atOnce {
			next := min(first+atOnce, to)
			if allAbsent(exps[first:next]) {
				clear(blocks(g, first, next))
				continue
			}
			for b := first; b < next; b++ {
				bad[b] = !q.dequantizeBlock(block(g, b), block(sum, b), int(exps[b]))
			}
			then(first*Block, blocks(g, first, next))
		}
	})
	if b := slices.Index(bad, true); b >= 0 {
		return nil, fmt.Errorf("block %d of %d (values %d to %d): %w", b, len(exps), b*Block, min((b+1)*Block, len(sum))-1, ErrNotFinite)
	}
	return g, nil
}

func allAbsent(exps []byte) bool {
	for _, e := range exps {
		if e != absent {
			return false
		}
	}
	return true
}

// asFloats is the memory of s for as many floats.
func asFloats(s []int32) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(s))), len(s))
}

// dequantizeBlock multiplies by two factors, since one may be outside float32:
// the first product is exact, so the result is rounded once. It reports whether
// all is finite. dst may be the memory of sum.
func (q Quantizer) dequantizeBlock(dst []float32, sum []int32, e int) bool {
	if e == absent || e == notFinite {
		clear(dst)
		return e == absent
	}
	k := e - 126 - (q.bits - 1)
	f1, f2 := powerOfTwo(k/2), powerOfTwo(k-k/2)
	sum = sum[:len(dst)]
	top, done := dequantizeVectors(dst, sum, f1, f2)
	for i, s := range sum[done:] {
		w := math.Float32bits(float32(float32(s)*f1) * f2)
		field := w & exponentField
		if field == 0 {
			w = 0
		}
		top = max(top, field)
		dst[done+i] = math.Float32frombits(w)
	}
	return top != exponentField
}

// powerOfTwo is 2^k for -126 <= k <= 127.
func powerOfTwo(k int) float32 { return math.Float32frombits(uint32(127+k) << 23) }
