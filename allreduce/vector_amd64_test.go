package allreduce

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"carillon/endian"
	"carillon/job"
)

// The vector code and the plain loops must not differ in one bit, for any bits
// that may stand in a gradient, and beyond 2^32 values too.
func TestVectorsGiveThePlainBits(t *testing.T) {
	if !vectors {
		t.Skip("this CPU has no AVX2")
	}
	defer func() { vectors = true }()
	rapid.Check(t, func(t *rapid.T) {
		noise := job.Key{rapid.Uint32().Draw(t, "k0"), rapid.Uint32().Draw(t, "k1")}
		first := rapid.Uint64Range(0, 1<<34).Draw(t, "block") * Block
		words := rapid.SliceOfN(rapid.Uint32(), 1, Block).Draw(t, "words")
		e := rapid.IntRange(1, 254).Draw(t, "E")
		shift := rapid.IntRange(1, 24).Draw(t, "shift")
		start, g := make([]int32, len(words)), make([]float32, len(words))
		for i, w := range words {
			start[i] = int32(w) >> 1
			if w&exponentField > uint32(e)<<23 { // as the agreed exponents promise
				w = w&^uint32(exponentField) | uint32(e)<<23
			}
			g[i] = math.Float32frombits(w)
		}
		raw := make([]float32, len(words))
		for i, w := range words {
			raw[i] = math.Float32frombits(w)
		}
		var added, shifted [2][]int32
		var top [2]byte
		var low, high [2]int32
		var floats [2][]float32
		var finite [2]bool
		q8 := Quantizer{Q8, 8}
		for i := range 2 {
			vectors = i == 0
			added[i], shifted[i] = slices.Clone(start), slices.Clone(start)
			addNoisy(added[i], 8-1+126-e, g, noise, first)
			shiftNoisy(shifted[i], shift, noise, first)
			top[i] = maxExponent(raw)
			low[i], high[i] = extremes(start)
			floats[i] = make([]float32, len(words))
			finite[i] = q8.dequantizeBlock(floats[i], start, e)
		}
		if top[0] != top[1] {
			t.Fatalf("the largest exponent is %d with vectors, %d without", top[0], top[1])
		}
		if low[0] != low[1] || high[0] != high[1] {
			t.Fatalf("the extremes are %d and %d with vectors, %d and %d without", low[0], high[0], low[1], high[1])
		}
		if finite[0] != finite[1] || !slices.Equal(endian.View(floats[0]), endian.View(floats[1])) {
			t.Fatalf("dequantizing with E %d gives\n%v, %t with vectors\n%v, %t without", e, floats[0], finite[0], floats[1], finite[1])
		}
		if !slices.Equal(added[0], added[1]) {
			t.Fatalf("adding gives\n%v with vectors\n%v without", added[0], added[1])
		}
		if !slices.Equal(shifted[0], shifted[1]) {
			t.Fatalf("shifting gives\n%v with vectors\n%v without", shifted[0], shifted[1])
		}
	})
}
