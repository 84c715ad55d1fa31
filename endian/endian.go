// Package endian turns vectors of numbers into the little-endian bytes that are
// hashed, stored and sent, and back. Where the machine has numbers in that order
// anyway, as nearly all have, nothing is converted, and View copies nothing.
package endian

import (
	"encoding/binary"
	"unsafe"
)

// Number is what vectors are made of.
type Number interface{ ~int32 | ~float32 }

const size = 4

// little says whether the machine's own order is little-endian.
var little = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// View returns the bytes of values: their own memory, which must not be written to, or
// on a machine of another order a copy.
func View[T Number](values []T) []byte {
	if little {
		return memory(values)
	}
	b := make([]byte, size*len(values))
	Put(b, values)
	return b
}

// Put writes the bytes of values to the start of dst.
func Put[T Number](dst []byte, values []T) {
	dst = dst[:size*len(values)]
	if copy(dst, memory(values)); !little {
		turn(dst)
	}
}

// Get fills dst with the numbers at the start of src.
func Get[T Number](dst []T, src []byte) {
	src = src[:size*len(dst)]
	if copy(memory(dst), src); !little {
		turn(memory(dst))
	}
}

// Numbers returns the numbers whose bytes are b, which begins at a multiple of 4: b's own
// memory, or on a machine of another order a copy.
func Numbers[T Number](b []byte) []T {
	x := unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/size)
	if little {
		return x
	}
	out := make([]T, len(x))
	Get(out, b)
	return out
}

func memory[T Number](values []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(values))), size*len(values))
}

// turn reverses the bytes of each number.
func turn(b []byte) {
	for ; len(b) > 0; b = b[size:] {
		binary.BigEndian.PutUint32(b, binary.LittleEndian.Uint32(b))
	}
}
