package allreduce

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"
)

// A packed block is one byte, the width w in bits (0 to 32), and its values as
// two's complement of that width, the first in the lowest bits, padded with zero
// bits to a whole byte. Each block has the width that its values need; an
// all-zero block has width 0.

var errShort = errors.New("ends in the middle of a block")

// packPartial makes a reduce message of the present blocks of piece r of sum.
func (p Pieces) packPartial(sum []int32, r int) []byte {
	return p.pack(nil, sum, p.agreed, r)
}

// pack appends the blocks of piece r that present, which has an exponent for every
// block, has an exponent for. Each core packs a run of them into its part of the memory
// behind dst.
func (p Pieces) pack(dst []byte, sum []int32, present []byte, r int) []byte {
	from, to := p.Range(r)
	dst = slices.Grow(dst, p.guess(r))
	runs := make([][]byte, workersFor(to-from))
	room := dst[len(dst):cap(dst)]
	part := len(room) / len(runs)
	inRuns(len(runs), to-from, func(i, first, next int) {
		run := room[i*part : i*part : (i+1)*part]
		for b := from + first; b < from+next; b++ {
			if p.agreed[b] != absent && present[b] != absent {
				run = packBlock(run, block(sum, b))
			}
		}
		runs[i] = run
	})
	return join(dst, runs, part)
}

// join appends runs that lie in the memory behind dst, each in a part of that size. If one
// outgrew its part, all go to larger memory, which suffices when it is given the next time.
func join(dst []byte, runs [][]byte, part int) []byte {
	longest := 0
	for _, run := range runs {
		longest = max(longest, len(run))
	}
	if longest > part {
		dst = slices.Grow(slices.Clip(dst), len(runs)*(longest+longest/8)+tailSize)
	}
	for _, run := range runs {
		dst = append(dst, run...) // down to its place, where only runs lie that were moved
	}
	return dst
}

// addPartial adds piece r of another rank, as packPartial made it, to sum.
func (p Pieces) addPartial(sum []int32, r int, msg []byte) error {
	from, to := p.Range(r)
	at, err := p.places(len(sum), msg, p.agreed, r)
	if err != nil {
		return err
	}
	inParallel(to-from, func(first, next int) {
		var values [Block]int32
		for b := from + first; b < from+next; b++ {
			if p.agreed[b] == absent {
				continue
			}
			mine := block(sum, b)
			theirs := values[:len(mine)]
			unpackBlock(theirs, msg[at[b-from]:at[b-from+1]])
			for i, s := range theirs {
				mine[i] += s
			}
		}
	})
	return nil
}

// packFinal makes a gather message of piece r of the finished sum: the exponents
// of its present blocks, then those blocks that are not zero.
func (p Pieces) packFinal(sum []int32, exps []byte, r int) []byte {
	dst := make([]byte, 0, p.held[r]+p.guess(r))
	from, to := p.Range(r)
	for b := from; b < to; b++ {
		if p.agreed[b] != absent {
			dst = append(dst, exps[b])
		}
	}
	return p.pack(dst, sum, exps, r)
}

// setFinal sets piece r of sum and exps to what packFinal made.
func (p Pieces) setFinal(sum []int32, exps []byte, r int, msg []byte) error {
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
	}
	return p.setPacked(sum, exps, r, msg)
}

// setPacked sets piece r of sum to the blocks that pack made of it.
func (p Pieces) setPacked(sum []int32, exps []byte, r int, msg []byte) error {
	from, to := p.Range(r)
	at, err := p.places(len(sum), msg, exps, r)
	if err != nil {
		return err
	}
	inParallel(to-from, func(first, next int) {
		for b := from + first; b < from+next; b++ {
			switch {
			case p.agreed[b] == absent:
			case exps[b] == absent:
				clear(block(sum, b))
			default:
				unpackBlock(block(sum, b), msg[at[b-from]:at[b-from+1]])
			}
		}
	})
	return nil
}

// places says where in a message of piece r each of its blocks begins, and that there
// are those that present has an exponent for, whole, and nothing else. n is the length
// of the vector.
func (p Pieces) places(n int, msg []byte, present []byte, r int) ([]int, error) {
	from, to := p.Range(r)
	at := make([]int, to-from+1)
	for b := from; b < to; b++ {
		size := 0
		if p.agreed[b] != absent && present[b] != absent {
			var err error
			if size, err = sizeOf(msg[at[b-from]:], min(Block, n-b*Block)); err != nil {
				return nil, fmt.Errorf("block %d: %w", b, err)
			}
		}
		at[b-from+1] = at[b-from] + size
	}
	return at, noRest(msg[at[to-from]:])
}

// sizeOf is the length of the packed block of n values at the start of msg.
func sizeOf(msg []byte, n int) (int, error) {
	if len(msg) == 0 {
		return 0, errShort
	}
	w := int(msg[0])
	if w > 32 {
		return 0, fmt.Errorf("width %d is not within 0 to 32", w)
	}
	size := 1 + packedSize(n, w)
	if len(msg) < size {
		return 0, errShort
	}
	return size, nil
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
	low, high := extremes(s)
	if low == 0 && high == 0 {
		return 0
	}
	return bits.Len32(uint32(max(high, ^low))) + 1
}

func packedSize(n, width int) int { return (n*width + 7) / 8 }

// packBlock appends s, at most Block values, as a packed block.
func packBlock(dst []byte, s []int32) []byte {
	w := width(s)
	dst = append(dst, byte(w))
	if w == 0 {
		return dst
	}
	if w == 8 {
		return appendBytes(dst, s)
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

// appendBytes is packBlock's work for values of a byte, as most finished ones of q8 are.
func appendBytes(dst []byte, s []int32) []byte {
	at := len(dst)
	dst = slices.Grow(dst, len(s))[:at+len(s)]
	to := dst[at:][:len(s)]
	for i, x := range s {
		to[i] = byte(x)
	}
	return dst
}

// unpackBlock fills s, at most Block values, from the packed block msg, which has the
// size that sizeOf says.
func unpackBlock(s []int32, msg []byte) { unpack(s, msg[1:], int(msg[0])) }

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
