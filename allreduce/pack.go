package allreduce

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
)

// A packed block is one byte, the width w in bits (0 to 32), and its values as
// two's complement of that width, the first in the lowest bits, padded with zero
// bits to a whole byte. Each block has the width that its values need; an
// all-zero block has width 0.

var errShort = errors.New("ends in the middle of a block")

// packPartial makes a reduce message of the present blocks of piece r of sum.
func (p Pieces) packPartial(sum []int32, r int) []byte {
	dst := make([]byte, 0, p.guess(r))
	from, to := p.Range(r)
	for b := from; b < to; b++ {
		if p.agreed[b] != absent {
			dst = packBlock(dst, block(sum, b))
		}
	}
	return dst
}

// addPartial adds piece r of another rank, as packPartial made it, to sum.
func (p Pieces) addPartial(sum []int32, r int, msg []byte) (err error) {
	var values [Block]int32
	from, to := p.Range(r)
	for b := from; b < to; b++ {
		if p.agreed[b] == absent {
			continue
		}
		mine := block(sum, b)
		theirs := values[:len(mine)]
		if msg, err = unpackBlock(theirs, msg); err != nil {
			return fmt.Errorf("block %d: %w", b, err)
		}
		for i, s := range theirs {
			mine[i] += s
		}
	}
	return noRest(msg)
}

// packFinal makes a gather message of piece r of the finished sum: the exponents
// of its present blocks, then those blocks that are not zero.
func (p Pieces) packFinal(sum []int32, exps []byte, r int) []byte {
	dst := make([]byte, 0, p.guess(r))
	from, to := p.Range(r)
	for b := from; b < to; b++ {
		if p.agreed[b] != absent {
			dst = append(dst, exps[b])
		}
	}
	for b := from; b < to; b++ {
		if p.agreed[b] != absent && exps[b] != absent {
			dst = packBlock(dst, block(sum, b))
		}
	}
	return dst
}

// setFinal sets piece r of sum and exps to what packFinal made.
func (p Pieces) setFinal(sum []int32, exps []byte, r int, msg []byte) (err error) {
	if len(msg) < p.held[r] {
		return fmt.Errorf("%d bytes are too short for the exponents of %d blocks", len(msg), p.held[r])
	}
	final, msg := msg[:p.held[r]], msg[p.held[r]:]
	from, to := p.Range(r)
	for b := from; b < to; b++ {
		if p.agreed[b] == absent {
			continue
		}
		e := final[0]
		final = final[1:]
		if e != absent && e < p.agreed[b] {
			return fmt.Errorf("block %d has exponent %d, less than the agreed %d", b, e, p.agreed[b])
		}
		exps[b] = e
		if e == absent {
			clear(block(sum, b))
		} else if msg, err = unpackBlock(block(sum, b), msg); err != nil {
			return fmt.Errorf("block %d: %w", b, err)
		}
	}
	return noRest(msg)
}

// guess is room for piece r at ten bits a value, what eight lanes of q8 need; a
// longer message grows.
func (p Pieces) guess(r int) int { return p.held[r] * (2 + Block*10/8) }

func noRest(msg []byte) error {
	if len(msg) > 0 {
		return fmt.Errorf("%d bytes are left after the last block", len(msg))
	}
	return nil
}

// width is the bits that every value of s fits in as two's complement.
func width(s []int32) int {
	var any, magnitude int32
	for _, x := range s {
		any |= x
		magnitude |= x ^ x>>31
	}
	if any == 0 {
		return 0
	}
	return bits.Len32(uint32(magnitude)) + 1
}

func packedSize(n, width int) int { return (n*width + 7) / 8 }

// packBlock appends s, at most Block values, as a packed block.
func packBlock(dst []byte, s []int32) []byte {
	w := width(s)
	dst = append(dst, byte(w))
	if w == 0 {
		return dst
	}
	mask := uint64(1)<<w - 1
	var acc uint64 // the low n bits are not written yet; n < 32 between values
	n := 0
	for _, x := range s {
		acc |= uint64(x) & mask << n
		if n += w; n >= 32 {
			dst = binary.LittleEndian.AppendUint32(dst, uint32(acc))
			acc >>= 32
			n -= 32
		}
	}
	for ; n > 0; n -= 8 {
		dst = append(dst, byte(acc))
		acc >>= 8
	}
	return dst
}

// unpackBlock fills s, at most Block values, from the packed block at the start
// of msg and returns what follows it.
func unpackBlock(s []int32, msg []byte) (rest []byte, err error) {
	if len(msg) == 0 {
		return nil, errShort
	}
	w := int(msg[0])
	if w > 32 {
		return nil, fmt.Errorf("width %d is not within 0 to 32", w)
	}
	size := 1 + packedSize(len(s), w)
	if len(msg) < size {
		return nil, errShort
	}
	unpack(s, msg[1:size], w)
	return msg[size:], nil
}

// unpack reads len(s) values of w bits. src has exactly their bytes.
func unpack(s []int32, src []byte, w int) {
	if w == 0 {
		clear(s)
		return
	}
	if len(src)%4 != 0 { // a short block: pad it to whole words
		var padded [4 * Block]byte
		src = padded[:(copy(padded[:], src)+3)&^3]
	}
	var acc uint64 // its low n bits are not read yet
	n, lift := 0, 32-w
	for i := range s {
		if n < w {
			acc |= uint64(binary.LittleEndian.Uint32(src)) << n
			src = src[4:]
			n += 32
		}
		s[i] = int32(uint32(acc)<<lift) >> lift
		acc >>= w
		n -= w
	}
}
