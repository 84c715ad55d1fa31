package job

import "hash/fnv"

// Key keys the mixer. Everything in a job that looks random (which example,
// which dropout mask, which rounding, which initial value) is Key.At(index) of
// a key made from the seed and the place where it is used. So no generator
// carries state, and nothing is lost when a node is.
type Key [2]uint32

// Purpose keeps the draws of one use apart from those of another.
type Purpose uint32

// The purposes. Their numbers are part of the job's bits: never renumber.
const (
	ForExamples   Purpose = 1 // the permutation of an epoch: (epoch)
	ForDropout    Purpose = 2 // (step, lane)
	ForRounding   Purpose = 3 // a lane's stochastic rounding: (step, lane)
	ForRequantize Purpose = 4 // rounding of the finished sum: (step)
	ForInit       Purpose = 5 // a parameter's first value: (NameWord(name))
	ForProbe      Purpose = 6 // the probe batch and trainables
	ForSplit      Purpose = 7 // which examples are held out

	ForTokenDropout Purpose = 8 // which input tokens are blanked: (position)
	ForBalance      Purpose = 9 // which class and member a place gets: (position)

	ForSampling Purpose = 10 // which token comes next: (prompt)

	ForMasking        Purpose = 11 // which tokens are asked for, and what stands there: (position)
	ForHeldOutMasking Purpose = 12 // the same of a held-out example: (its tokens); seed 0
)

// NewKey makes the key of one use: the seed, its purpose, and where it happens.
func NewKey(seed uint64, purpose Purpose, where ...uint64) Key {
	k := Key{uint32(seed), uint32(seed >> 32)}
	k = k.fold(uint64(purpose))
	for _, w := range where {
		k = k.fold(w)
	}
	return k
}

// At returns the 32 bits of place i. It is a bijection of the low 32 bits of i
// for a fixed key and fixed high bits. Graphs compute the same with uint32
// operations only (package model/nn).
func (k Key) At(i uint64) uint32 {
	return scramble((scramble(uint32(i)^k[0]) + uint32(i>>32)*golden) ^ k[1])
}

// Uniform returns place i as a float32 in [0, 1), a multiple of 2^-24.
func (k Key) Uniform(i uint64) float32 { return float32(k.At(i)>>8) * (1.0 / (1 << 24)) }

// NameWord turns a parameter's name into a word for NewKey (FNV-1a, 64 bits).
func NameWord(name string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(name))
	return h.Sum64()
}

const golden = 0x9E3779B9 // 2^32 / golden ratio, odd

func (k Key) fold(w uint64) Key {
	a := scramble(k[0] ^ uint32(w))
	b := scramble((k[1] + a) ^ uint32(w>>32)*golden)
	return Key{a + b, b}
}

// scramble is a bijection of 32 bits in which every input bit changes each
// output bit with probability near one half (C. Wellons, "Prospecting for hash
// functions", 2018: lowbias32).
func scramble(x uint32) uint32 {
	x ^= x >> 16
	x *= 0x7feb352d
	x ^= x >> 15
	x *= 0x846ca68b
	x ^= x >> 16
	return x
}
