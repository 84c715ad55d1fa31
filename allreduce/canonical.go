package allreduce

import (
	"fmt"
	"slices"

	"carillon/endian"
)

// Canonical appends the canonical form of a finished sum to dst: the exponent of
// every block, the present blocks' values as little-endian int32, the tail. It
// is what the digest hashes and what a node that fell behind is sent; never what
// a sum puts on the wire. len(exps) is Blocks(len(sum)).
func Canonical(dst []byte, exps []byte, sum []int32, tail Tail) []byte {
	mustMatch("sum", len(sum), len(exps))
	dst = slices.Grow(dst, len(exps)+4*len(sum)+tailSize)
	dst = append(dst, exps...)
	at := places(exps, len(sum))
	values := dst[len(dst):][:4*at[len(exps)]]
	inParallel(len(exps), func(from, to int) {
		for b := from; b < to; b++ {
			if exps[b] != absent {
				endian.Put(values[4*at[b]:], block(sum, b))
			}
		}
	})
	return tail.append(dst[:len(dst)+len(values)])
}

// places says how many values of present blocks come before each block, and in all.
func places(exps []byte, n int) []int {
	at := make([]int, len(exps)+1)
	for b, e := range exps {
		at[b+1] = at[b]
		if e != absent {
			at[b+1] += min(Block, n-b*Block)
		}
	}
	return at
}

// ParseCanonical is the inverse of Canonical for a vector of n values. The
// slices it returns share no memory with b. It checks the length, and nothing
// about the values: Dequantize says whether they are finite.
func ParseCanonical(b []byte, n int) (exps []byte, sum []int32, tail Tail, err error) {
	blocks := Blocks(n)
	if n < 0 || len(b) < blocks+tailSize {
		return nil, nil, tail, fmt.Errorf("canonical sum of %d bytes is too short for %d values", len(b), n)
	}
	exps = slices.Clone(b[:blocks])
	at := places(exps, n)
	present := at[blocks]
	if want := blocks + 4*present + tailSize; len(b) != want {
		return nil, nil, tail, fmt.Errorf("canonical sum is %d bytes, want %d for %d values, %d of them present", len(b), want, n, present)
	}
	sum = make([]int32, n)
	for i, e := range exps {
		if e == absent {
			continue
		}
		endian.Get(block(sum, i), b[blocks+4*at[i]:])
	}
	return exps, sum, tailOf(b[blocks+4*present:]), nil
}

// lengthError says that a vector and its exponents do not belong together.
func lengthError(what string, n, blocks int) error {
	return fmt.Errorf("%s of %d values has %d blocks, but %d exponents were given", what, n, Blocks(n), blocks)
}
