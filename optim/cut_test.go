package optim

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Whatever the sizes, the ranges that decay and the cuts: the same bits.
func TestAnyCutsGiveTheSameBits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 2000).Draw(t, "n")
		a := AdamW{
			Beta1: rapid.Float64Range(0, 0.99).Draw(t, "beta1"), Beta2: rapid.Float64Range(0, 0.9999).Draw(t, "beta2"),
			Epsilon: 1e-8, WeightDecay: rapid.Float64Range(0, 1).Draw(t, "decay"), Groups: pairs(places(t, n, "decaying")),
		}
		updates, lr := rapid.Uint64Range(0, 300).Draw(t, "updates"), rapid.Float64Range(0, 0.1).Draw(t, "lr")
		clip := rapid.Float64Range(0, 1).Draw(t, "clip")

		whole, cut := newSystem(n), newSystem(n)
		a.UpdateAll(whole.w, whole.g, whole.m, whole.v, updates, lr, clip)
		from := 0
		for _, to := range append(places(t, n, "cuts"), n) {
			a.Update(cut.w, cut.g, cut.m, cut.v, updates, lr, clip)(from, to)
			from = to
		}
		if whole.hash() != cut.hash() {
			t.Errorf("the bits depend on the cuts")
		}
	})
}

// places draws ascending places in [0, n].
func places(t *rapid.T, n int, name string) []int {
	p := rapid.SliceOfNDistinct(rapid.IntRange(0, n), 0, 8, rapid.ID[int]).Draw(t, name)
	slices.Sort(p)
	return p
}

// pairs makes groups of ascending places, two by two.
func pairs(places []int) []Group {
	var g []Group
	for i := 0; i+1 < len(places); i += 2 {
		g = append(g, Group{From: places[i], To: places[i+1], Decay: i%4 == 0, Rate: float64(i % 3)})
	}
	return g
}
