package optim

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// The vector code and the plain loop must not differ in one bit, for any finite
// numbers.
func TestVectorsGiveThePlainBits(t *testing.T) {
	if !vectors {
		t.Skip("this CPU has no AVX")
	}
	defer func() { vectors = true }()
	number := rapid.Custom(func(t *rapid.T) float32 {
		x := math.Float32frombits(rapid.Uint32().Draw(t, "bits"))
		if x != x || math.IsInf(float64(x), 0) {
			return 0
		}
		return x
	})
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 50).Draw(t, "n")
		draw := func(name string) []float32 { return rapid.SliceOfN(number, n, n).Draw(t, name) }
		start := system{draw("w"), draw("g"), draw("m"), positive(draw("v"))}
		a := testAdamW(n)
		u := a.constants(rapid.Uint64Range(0, 100).Draw(t, "updates"), 1e-3, rapid.Float64Range(0, 1).Draw(t, "clip"))
		c := u.of(Group{Decay: true})
		from := rapid.IntRange(0, n-1).Draw(t, "from")
		var after [2]system
		for i := range after {
			vectors = i == 0
			s := system{slices.Clone(start.w), start.g, slices.Clone(start.m), slices.Clone(start.v)}
			c.apply(s.w, s.g, s.m, s.v, from, n)
			after[i] = s
		}
		if after[0].hash() != after[1].hash() {
			t.Errorf("vectors: %v\nplain:   %v", after[0], after[1])
		}
	})
}

// Dividing gives the plain bits too, for any numbers at all.
func TestVectorsDivideLikeThePlainLoop(t *testing.T) {
	if !vectors {
		t.Skip("this CPU has no AVX")
	}
	defer func() { vectors = true }()
	rapid.Check(t, func(t *rapid.T) {
		bits := rapid.SliceOfN(rapid.Uint32(), 1, 50).Draw(t, "bits")
		d := float64(rapid.Int64Range(1, 1<<40).Draw(t, "tokens"))
		var after [2][]float32
		for i := range after {
			vectors = i == 0
			for _, b := range bits {
				after[i] = append(after[i], math.Float32frombits(b))
			}
			divide(after[i], d)
		}
		for i := range bits {
			if a, b := after[0][i], after[1][i]; math.Float32bits(a) != math.Float32bits(b) && (a == a || b == b) {
				t.Errorf("%x / %v is %x in vectors, %x in the plain loop", bits[i], d, math.Float32bits(a), math.Float32bits(b))
			}
		}
	})
}
