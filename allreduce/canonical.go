package allreduce

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Canonical appends the canonical form of a finished sum to dst: the exponent of
// every block, the present blocks' values as little-endian int32, the tail. It
// is what the digest hashes and what a node that fell behind is sent; never what
// a sum puts on the wire. len(exps) is Blocks(len(sum)).
func Canonical(dst []byte, exps []byte, sum []int32, tail Tail) []byte {
	mustMatch("sum", len(sum), len(exps))
	dst = slices.Grow(dst, len(exps)+4*len(sum)+tailSize)
	dst = append(dst, exps...)
	for b, e := range exps {
		if e == absent {
			continue
		}
		for _, s := range block(sum, b) {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(s))
		}
	}
	return tail.append(dst)
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
	present := 0
	for i, e := range exps {
		if e != absent {
			present += min(Block, n-i*Block)
		}
	}
	if want := blocks + 4*present + tailSize; len(b) != want {
		return nil, nil, tail, fmt.Errorf("canonical sum is %d bytes, want %d for %d values, %d of them present", len(b), want, n, present)
	}
	sum = make([]int32, n)
	rest := b[blocks:]
	for i, e := range exps {
		if e == absent {
			continue
		}
		for j := range block(sum, i) {
			sum[i*Block+j] = int32(binary.LittleEndian.Uint32(rest[4*j:]))
		}
		rest = rest[4*len(block(sum, i)):]
	}
	return exps, sum, tailOf(rest), nil
}

// lengthError says that a vector and its exponents do not belong together.
func lengthError(what string, n, blocks int) error {
	return fmt.Errorf("%s of %d values has %d blocks, but %d exponents were given", what, n, Blocks(n), blocks)
}
