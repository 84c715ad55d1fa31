package checkpoint

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"
)

func TestStateThereAndBack(t *testing.T) {
	w, m, v := []float32{1, 2, 3}, []float32{4, 5, 6}, []float32{7, 8, -0.5}
	b := EncodeState(nil, w, m, v, 9)
	if int64(len(b)) != StateSize(3) {
		t.Fatalf("%d bytes, want %d", len(b), StateSize(3))
	}
	w2, m2, v2 := make([]float32, 3), make([]float32, 3), make([]float32, 3)
	updates, err := DecodeState(b, w2, m2, v2)
	if err != nil || updates != 9 || !slices.Equal(w, w2) || !slices.Equal(m, m2) || !slices.Equal(v, v2) {
		t.Errorf("got %d %v %v %v (%v)", updates, w2, m2, v2, err)
	}
	other := slices.Clone(b)
	binary.LittleEndian.PutUint64(other, 2)
	for want, b := range map[string][]byte{"of another model": b[:len(b)-4], "has 0 bytes": nil, "version 2": other} {
		if _, err := DecodeState(b, w2, m2, v2); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Every bit of a state is in its name, and slices end where the vectors do.
func TestStateHashSeesEveryElement(t *testing.T) {
	const n = 2*sliceBytes/4 + 5
	vectors := [3][]float32{make([]float32, n), make([]float32, n), make([]float32, n)}
	seen := map[[32]byte]bool{StateHash(vectors[0], vectors[1], vectors[2]): true}
	for _, vector := range vectors {
		for _, i := range []int{0, sliceBytes/4 - 1, sliceBytes / 4, n - 1} {
			vector[i] = 1
			seen[StateHash(vectors[0], vectors[1], vectors[2])] = true
			vector[i] = 0
		}
	}
	if len(seen) != 13 {
		t.Errorf("%d names for 13 states", len(seen))
	}
}

func TestRangesAndSharesCoverAll(t *testing.T) {
	for _, size := range []int64{0, 1, ChunkSize - 1, ChunkSize, ChunkSize + 1, 5*ChunkSize + 7} {
		var at int64
		ranges := Ranges(size)
		for _, r := range ranges {
			if r.From != at || r.To <= r.From || r.To-r.From > ChunkSize {
				t.Errorf("size %d: range %v after %d", size, r, at)
			}
			at = r.To
		}
		if at != size {
			t.Errorf("size %d: the ranges end at %d", size, at)
		}
		for nodes := 1; nodes <= 9; nodes++ {
			var all []int
			for rank := range nodes {
				all = append(all, Share(len(ranges), rank, nodes)...)
			}
			slices.Sort(all)
			if len(all) != len(ranges) || len(slices.Compact(all)) != len(ranges) {
				t.Errorf("%d nodes store chunks %v of %d", nodes, all, len(ranges))
			}
		}
	}
}
