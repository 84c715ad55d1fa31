package checkpoint

import (
	"encoding/binary"
	"fmt"
	"slices"

	"carillon/cores"
	"carillon/endian"
)

// stateVersion is the version of a state's encoding.
const stateVersion = 1

// stateHeader is the size of what comes before the vectors: version (8 bytes)
// and number of updates (8 bytes).
const stateHeader = 16

// StateSize returns the length of the encoding of a state with n trainables.
func StateSize(n int) int64 { return stateHeader + 3*4*int64(n) }

// EncodeState appends a state to dst: version, updates, and the vectors w, m, v
// one after the other, all little-endian.
func EncodeState(dst []byte, w, m, v []float32, updates uint64) []byte {
	dst = slices.Grow(dst, int(StateSize(len(w))))
	dst = binary.LittleEndian.AppendUint64(dst, stateVersion)
	dst = binary.LittleEndian.AppendUint64(dst, updates)
	from := len(dst)
	dst = dst[:from+4*(len(w)+len(m)+len(v))]
	for _, vector := range [][]float32{w, m, v} {
		part := dst[from:]
		cores.InParts(len(vector), sliceLen, func(from, to int) { endian.Put(part[4*from:], vector[from:to]) })
		from += 4 * len(vector)
	}
	return dst
}

// DecodeState fills w, m and v, which have the job's size, and returns the
// number of updates.
func DecodeState(b []byte, w, m, v []float32) (updates uint64, err error) {
	if err := DecodeWeights(b, w); err != nil {
		return 0, err
	}
	endian.Get(m, b[stateHeader+4*len(w):])
	endian.Get(v, b[stateHeader+8*len(w):])
	return binary.LittleEndian.Uint64(b[8:]), nil
}

// DecodeWeights fills w, which has the job's size, and leaves the moments.
func DecodeWeights(b []byte, w []float32) error {
	if want := StateSize(len(w)); int64(len(b)) != want {
		return fmt.Errorf("the state has %d bytes; one of %d trainables has %d: it is of another model or method", len(b), len(w), want)
	}
	if version := binary.LittleEndian.Uint64(b); version != stateVersion {
		return fmt.Errorf("the state has version %d; this program knows %d", version, stateVersion)
	}
	endian.Get(w, b[stateHeader:])
	return nil
}
