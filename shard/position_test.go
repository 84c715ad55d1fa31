package shard

import (
	"math"
	"math/bits"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"carillon/job"
)

func TestPermuteIsABijection(t *testing.T) {
	for n := uint64(1); n < 300; n++ {
		for epoch := range uint64(3) {
			seen := make([]bool, n)
			for i := range n {
				seen[Permute(job.NewKey(42, job.ForExamples, epoch), i, n)] = true
			}
			if at := slices.Index(seen, false); at >= 0 {
				t.Fatalf("n %d, epoch %d: nothing is sent to %d", n, epoch, at)
			}
		}
	}
}

func TestFirstPositionIsWhereAnExampleComesFirst(t *testing.T) {
	for _, n := range []uint64{1, 2, 3, 16, 17, 300, 1 << 40} {
		for example := range min(n, 100) {
			if at := FirstPosition(9, example, n); at >= n || Permute(job.NewKey(9, job.ForExamples, 0), at, n) != example {
				t.Errorf("example %d of %d: position %d holds another", example, n, at)
			}
		}
	}
}

// The permutation is part of a job's bits: these numbers must never change.
func TestPermuteHasItsBits(t *testing.T) {
	key := job.NewKey(42, job.ForExamples, 7)
	for _, tt := range []struct {
		n    uint64
		want []uint64
	}{
		{10, []uint64{9, 0, 3, 1, 7}},
		{4052, []uint64{1960, 701, 1547, 3069, 3291}},
		{1 << 40, []uint64{361407384918, 284028877180, 39578712231, 37737136902, 813791094866}},
	} {
		var got []uint64
		for i := range uint64(len(tt.want)) {
			got = append(got, Permute(key, i, tt.n))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("n %d: %d, want %d", tt.n, got, tt.want)
		}
	}
}

func TestPermuteShuffles(t *testing.T) {
	const n = 1000
	fixed, near := 0, 0
	for i := range uint64(n) {
		at := Permute(job.NewKey(1, job.ForExamples, 0), i, n)
		next := Permute(job.NewKey(1, job.ForExamples, 0), (i+1)%n, n)
		if at == i {
			fixed++
		}
		if next == at+1 {
			near++
		}
	}
	if fixed > 10 || near > 10 { // one each is expected
		t.Errorf("%d of %d stay where they are, %d keep their neighbour", fixed, n, near)
	}
}

// Whatever the size, there is a way back: so no two places are sent to one, and
// each is reached.
func TestPermuteCanBeUndone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(1, math.MaxUint64).Draw(t, "n") >> rapid.IntRange(0, 63).Draw(t, "shift")
		n = max(n, 1)
		i := rapid.Uint64Range(0, n-1).Draw(t, "i")
		key := job.NewKey(rapid.Uint64().Draw(t, "seed"), job.ForExamples, rapid.Uint64().Draw(t, "epoch"))
		at := Permute(key, i, n)
		if at >= n {
			t.Fatalf("place %d of %d is sent to %d", i, n, at)
		}
		if back := undo(key, at, n); back != i {
			t.Fatalf("place %d of %d is sent to %d, and that comes from %d", i, n, at, back)
		}
	})
}

// undo is Permute backwards.
func undo(key job.Key, at, n uint64) uint64 {
	half := uint((bits.Len64(n-1) + 1) / 2)
	mask := uint64(1)<<half - 1
	for {
		left, right := at>>half, at&mask
		for round := uint64(4); round > 0; round-- {
			left, right = right^uint64(key.At((round-1)<<32|left))&mask, left
		}
		if at = left<<half | right; at < n {
			return at
		}
	}
}

func TestBelowReachesEachNumberAlike(t *testing.T) {
	for _, n := range []int{1, 2, 3, 7, 1000} {
		times := make([]int, n)
		for i := range 1000 * n { // in even steps over all 64 bits
			times[below(n, uint32(uint64(i)<<32/uint64(1000*n)), math.MaxUint32)]++
		}
		if least, most := slices.Min(times), slices.Max(times); least < 999 || most > 1001 {
			t.Errorf("n %d: between %d and %d times, want 1000", n, least, most)
		}
		if got := below(n, math.MaxUint32, math.MaxUint32); got != n-1 {
			t.Errorf("n %d: the largest draw gives %d", n, got)
		}
	}
}
