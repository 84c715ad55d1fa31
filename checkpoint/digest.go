package checkpoint

import (
	"crypto/sha256"
	"encoding/binary"
	"math"

	"github.com/zeebo/xxh3"
)

// sliceBytes is the size of a leaf of the state's hash tree.
const sliceBytes = 1 << 20

// StateHash names a state: XXH3-128 of each slice of 1 MiB of the trainables w,
// then of the moments m, then v (float32, little-endian; each vector has slices
// of its own), and SHA-256 over those. So whoever holds a part of a state can
// hash its slices, and the whole has one name.
func StateHash(w, m, v []float32) [32]byte {
	all := sha256.New()
	buf := make([]byte, 0, min(sliceBytes, 4*len(w)))
	for _, vector := range [][]float32{w, m, v} {
		for from := 0; from < len(vector); from += sliceBytes / 4 {
			buf = appendFloats(buf[:0], vector[from:min(len(vector), from+sliceBytes/4)])
			leaf := xxh3.Hash128(buf).Bytes()
			all.Write(leaf[:])
		}
	}
	return [32]byte(all.Sum(nil))
}

// Digest0 names the state before the first step.
func Digest0(identity, base, data [32]byte, trainables []float32) [32]byte {
	h := sha256.New()
	h.Write(identity[:])
	h.Write(base[:])
	h.Write(data[:])
	h.Write(appendFloats(make([]byte, 0, 4*len(trainables)), trainables))
	return [32]byte(h.Sum(nil))
}

// NextDigest names the state that a finished sum (its canonical form) led to.
func NextDigest(before [32]byte, canonical []byte, state [32]byte) [32]byte {
	h := sha256.New()
	h.Write(before[:])
	h.Write(canonical)
	h.Write(state[:])
	return [32]byte(h.Sum(nil))
}

func appendFloats(b []byte, values []float32) []byte {
	for _, f := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
	}
	return b
}
