package checkpoint

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/zeebo/xxh3"
)

// The names are those of the format, written down here as it says them, on any
// number of cores.
func TestNamesAreThoseOfTheFormatOnAnyCores(t *testing.T) {
	for _, n := range []int{0, 1, sliceBytes / 4, sliceBytes/4 + 5} {
		vectors, plain := numbers(n)
		whole, before := bytes.Join(plain[:], nil), [32]byte{1, 2}
		state := plainHash(plain)
		digest := sha256.Sum256(slices.Concat(before[:], whole, state[:]))
		for _, cores := range []int{1, 4} {
			was := runtime.GOMAXPROCS(cores)
			if got := StateHash(vectors[0], vectors[1], vectors[2]); got != state {
				t.Errorf("%d elements on %d cores: state %x, want %x", n, cores, got, state)
			}
			if got := NextDigest(before, whole)(state); got != digest {
				t.Errorf("%d elements on %d cores: digest %x, want %x", n, cores, got, digest)
			}
			b := EncodeState([]byte("before"), vectors[0], vectors[1], vectors[2], 5)
			if !bytes.HasPrefix(b, []byte("before")) || !bytes.Equal(b[len("before")+stateHeader:], whole) {
				t.Errorf("%d elements on %d cores: the encoding is not the vectors one after the other", n, cores)
			}
			runtime.GOMAXPROCS(was)
		}
	}
}

// What an update makes is named, in slices or whole, on any number of cores.
func TestAnUpdateIsHashedAsItIsMade(t *testing.T) {
	for _, n := range []int{0, 5, 2*sliceLen + 5} {
		for _, cores := range []int{1, 4} {
			was := runtime.GOMAXPROCS(cores)
			vectors, _ := numbers(n)
			got := HashUpdated(vectors[0], vectors[1], vectors[2], func(from, to int) {
				for _, v := range vectors {
					for i := from; i < to; i++ {
						v[i]++
					}
				}
			})
			var plain [3][]byte
			for k, v := range vectors {
				for _, x := range v {
					plain[k] = binary.LittleEndian.AppendUint32(plain[k], math.Float32bits(x))
				}
			}
			before, _ := numbers(n)
			if n > 0 && (vectors[0][0] != before[0][0]+1 || vectors[2][n-1] != before[2][n-1]+1) || got != plainHash(plain) {
				t.Errorf("%d elements on %d cores: another name, or not one update of each element", n, cores)
			}
			runtime.GOMAXPROCS(was)
		}
	}
}

// numbers makes three vectors, and their bytes.
func numbers(n int) (vectors [3][]float32, plain [3][]byte) {
	for i := range vectors {
		vectors[i] = make([]float32, n)
		for k := range vectors[i] {
			vectors[i][k] = float32(k*(i+3)%1013) - 500
			plain[i] = binary.LittleEndian.AppendUint32(plain[i], math.Float32bits(vectors[i][k]))
		}
	}
	return vectors, plain
}

// plainHash is StateHash of vectors as bytes.
func plainHash(vectors [3][]byte) [32]byte {
	var leaves []byte
	for _, v := range vectors {
		for len(v) > 0 {
			leaf := xxh3.Hash128(v[:min(sliceBytes, len(v))]).Bytes()
			leaves = append(leaves, leaf[:]...)
			v = v[min(sliceBytes, len(v)):]
		}
	}
	return sha256.Sum256(leaves)
}
