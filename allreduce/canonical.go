package allreduce

import (
	"bytes"
	"fmt"
	"slices"
)

// Canonical appends the canonical form of a finished sum to dst: the exponent of
// every block, the present blocks packed, the tail. It is what the digest hashes and
// what a node that fell behind is sent; it does not depend on what a sum put on the
// wire. len(exps) is Blocks(len(sum)).
func Canonical(dst []byte, exps []byte, sum []int32, tail Tail) []byte {
	mustMatch("sum", len(sum), len(exps))
	return tail.append(Cut(exps, 1).pack(append(dst, exps...), sum, exps, 0))
}

// ParseCanonical is the inverse of Canonical for a vector of n values. The slices it
// returns share no memory with b. It checks that b is canonical, and nothing about the
// values: Dequantize says whether they are finite.
func ParseCanonical(b []byte, n int) (exps []byte, sum []int32, tail Tail, err error) {
	blocks := Blocks(n)
	if n < 0 || len(b) < blocks+tailSize {
		return nil, nil, tail, fmt.Errorf("canonical sum of %d bytes is too short for %d values", len(b), n)
	}
	exps, sum = slices.Clone(b[:blocks]), make([]int32, n)
	tail = tailOf(b[len(b)-tailSize:])
	if err := Cut(exps, 1).setPacked(sum, exps, 0, b[blocks:len(b)-tailSize]); err != nil {
		return nil, nil, tail, fmt.Errorf("canonical sum: %w", err)
	}
	if !bytes.Equal(Canonical(nil, exps, sum, tail), b) {
		return nil, nil, tail, fmt.Errorf("canonical sum of %d bytes is packed otherwise than it should be", len(b))
	}
	return exps, sum, tail, nil
}

// lengthError says that a vector and its exponents do not belong together.
func lengthError(what string, n, blocks int) error {
	return fmt.Errorf("%s of %d values has %d blocks, but %d exponents were given", what, n, Blocks(n), blocks)
}
