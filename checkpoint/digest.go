package checkpoint

import (
	"crypto/sha256"
	"slices"

	"github.com/zeebo/xxh3"

	"carillon/cores"
	"carillon/endian"
)

// sliceBytes is the size of a leaf of the state's hash tree.
const (
	sliceBytes = 1 << 20
	sliceLen   = sliceBytes / 4
)

// StateHash names a state: XXH3-128 of each slice of 1 MiB of the trainables w,
// then of the moments m, then v (float32, little-endian; each vector has slices
// of its own), and SHA-256 over those. So whoever holds a part of a state can
// hash its slices, and the whole has one name.
func StateHash(w, m, v []float32) [32]byte {
	return HashUpdated(w, m, v, func(from, to int) {})
}

// HashUpdated is StateHash of a state that update changes first. It is called for ranges
// that cover the vectors, on all cores at once; each is hashed while it is in the cache.
func HashUpdated(w, m, v []float32, update func(from, to int)) [32]byte {
	n := (len(w) + sliceLen - 1) / sliceLen
	leaves := make([][16]byte, 3*n)
	cores.InParts(len(w), sliceLen, func(from, to int) {
		update(from, to)
		for k, vector := range [...][]float32{w, m, v} {
			leaves[k*n+from/sliceLen] = xxh3.Hash128(endian.View(vector[from:to])).Bytes()
		}
	})
	all := sha256.New()
	for _, leaf := range leaves {
		all.Write(leaf[:])
	}
	return [32]byte(all.Sum(nil))
}

// Digest0 names the state before the first step.
func Digest0(identity, base, data [32]byte, trainables []float32) [32]byte {
	h := sha256.New()
	h.Write(identity[:])
	h.Write(base[:])
	h.Write(data[:])
	for part := range slices.Chunk(trainables, sliceLen) {
		h.Write(endian.View(part))
	}
	return [32]byte(h.Sum(nil))
}

// NextDigest names the state that a finished sum (its canonical form) leads to: the
// function that it returns does, given that state's hash, and must be called. The sum
// is hashed meanwhile, on a core of its own; it must not change before that call.
func NextDigest(before [32]byte, canonical []byte) func(state [32]byte) [32]byte {
	h, hashed := sha256.New(), make(chan struct{})
	go func() {
		defer close(hashed)
		h.Write(before[:])
		h.Write(canonical)
	}()
	return func(state [32]byte) [32]byte {
		<-hashed
		h.Write(state[:])
		return [32]byte(h.Sum(nil))
	}
}
