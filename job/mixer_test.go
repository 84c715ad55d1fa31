package job

import (
	"math"
	"testing"
)

// Computed from the formula by another program. They are the bits of every job.
func TestMixerGivesTheBitsThatItAlwaysGave(t *testing.T) {
	weights := NameWord("transformer.wte.weight")
	if weights != 0x1784db15dc261b4e {
		t.Errorf("NameWord = %#x", weights)
	}
	for _, tt := range []struct {
		seed    uint64
		purpose Purpose
		where   []uint64
		key     Key
		at      [4]uint32 // places 0, 1, 2^32-1, 2^32
	}{
		{0, ForExamples, []uint64{0}, Key{0xdae80701, 0xd9b7d108}, [4]uint32{0xc1299113, 0x93f8698a, 0x4385e6de, 0xd395b0c2}},
		{42, ForExamples, []uint64{0}, Key{0x87c69aab, 0x66d9f7b4}, [4]uint32{0x13b5203b, 0xd26c96dd, 0xd416a299, 0x2090b2a2}},
		{42, ForDropout, []uint64{7, 3}, Key{0x4f0dfb9f, 0x11ef358e}, [4]uint32{0x146debb7, 0xcb878064, 0xcff3b502, 0xe17428ae}},
		{42, ForRounding, []uint64{7, 3}, Key{0x34085ca3, 0x6e9cf70a}, [4]uint32{0x6da4faf1, 0xb1d47804, 0xbbc279d6, 0xe3bbf5fb}},
		{42, ForRequantize, []uint64{1<<40 + 1}, Key{0x44d2468b, 0x7c3c8495}, [4]uint32{0x389c98e3, 0xfa597e91, 0xaa9057bb, 0xcaa8fc45}},
		{1<<63 + 5, ForInit, []uint64{weights}, Key{0xfd4b697e, 0xafb2d359}, [4]uint32{0xc96c0bf2, 0xfb0d74bb, 0x088a21a3, 0x6b85e36b}},
		{42, ForProbe, nil, Key{0xabb1a5df, 0xdf4a1dda}, [4]uint32{0xad7e6d9b, 0x202e380f, 0x0b39167e, 0xc7b75fe8}},
		{0, ForSplit, nil, Key{0xe9388c66, 0x54acea80}, [4]uint32{0x6203bf25, 0x3b2f3269, 0x2d26380c, 0x3f01d5b1}},
	} {
		k := NewKey(tt.seed, tt.purpose, tt.where...)
		if k != tt.key {
			t.Errorf("NewKey(%d, %d, %v) = %#x, want %#x", tt.seed, tt.purpose, tt.where, k, tt.key)
		}
		for i, place := range []uint64{0, 1, math.MaxUint32, 1 << 32} {
			if got := k.At(place); got != tt.at[i] {
				t.Errorf("%#x.At(%d) = %#08x, want %#08x", k, place, got, tt.at[i])
			}
		}
	}
}

// A mean of n uniforms lies within 5/sqrt(12n) of one half.
func TestUniformIsUniform(t *testing.T) {
	const n, bins = 1 << 16, 16
	k := NewKey(1, ForRounding, 2, 3)
	var sum float64
	var counts [bins]int
	for i := range uint64(n) {
		u := k.Uniform(i)
		if u < 0 || u >= 1 {
			t.Fatalf("Uniform(%d) = %v", i, u)
		}
		sum += float64(u)
		counts[int(u*bins)]++
	}
	if off := math.Abs(sum/n - 0.5); off > 5/math.Sqrt(12*n) {
		t.Errorf("mean is off by %v", off)
	}
	for bin, c := range counts { // sigma is 62
		if c < n/bins-310 || c > n/bins+310 {
			t.Errorf("bin %d of %d holds %d of %d", bin, bins, c, n)
		}
	}
}

// Within a job no two places share a key, and neither do two seeds for one
// purpose. (Small seeds s and t do share keys for purposes p and q where
// s^p == t^q, which no job can notice.)
func TestKeysOfDifferentPlacesDiffer(t *testing.T) {
	places := func(seeds uint64, purposes ...Purpose) map[Key]bool {
		seen := map[Key]bool{}
		for seed := range seeds {
			for _, p := range purposes {
				for step := range uint64(64) {
					for lane := range uint64(8) {
						seen[NewKey(seed, p, step, lane)] = true
					}
				}
			}
		}
		return seen
	}
	if n := len(places(1, ForExamples, ForDropout, ForRounding, ForRequantize, ForInit, ForProbe, ForSplit)); n != 7*64*8 {
		t.Errorf("one seed: %d different keys of %d places", n, 7*64*8)
	}
	if n := len(places(32, ForRounding)); n != 32*64*8 {
		t.Errorf("one purpose: %d different keys of %d places", n, 32*64*8)
	}
}
