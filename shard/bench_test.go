package shard

import (
	"fmt"
	"path/filepath"
	"runtime"
	"testing"

	"carillon/job"
)

// large writes a shard of about the given size, of texts of 128 tokens (twice the
// size if all of them may be hidden), or of pairs of 16 with a class.
func large(t testing.TB, info Info, bytes int) string {
	t.Helper()
	length := 128
	if info.Task == SeqCls {
		length = 16
	}
	key := job.NewKey(1, job.ForProbe)
	examples := make([]Example, bytes/(4*length+entrySize))
	for i := range examples {
		x := &examples[i]
		x.Tokens = make([]int32, length)
		for k := range x.Tokens {
			x.Tokens[k] = int32(key.At(uint64(i*length+k))) & 0x7fff
		}
		if info.Task == MaskedLM {
			x.Labels = x.Tokens
		}
		if info.Task == SeqCls {
			x.Labels, x.Starts = []int32{int32(i % info.Classes)}, []int32{int32(length / 2)}
		}
	}
	path := filepath.Join(t.TempDir(), "data.shard")
	if _, err := Build(path, info, examples); err != nil {
		t.Fatal(err)
	}
	return path
}

var (
	manyTexts  = Info{Vocab: 1 << 15, Blank: 0}
	manyToHide = Info{Task: MaskedLM, Vocab: 1 << 15, Blank: 0}
	manyPairs  = Info{Task: SeqCls, Vocab: 1 << 15, Classes: 100, Blank: 0}
)

// An open set has no memory of its own that grows with its examples.
func TestOpenTakesNoMemory(t *testing.T) {
	for _, info := range []Info{manyTexts, manyPairs} {
		path := large(t, info, 8<<20)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		s, err := Open(path)
		runtime.ReadMemStats(&after)
		if err != nil {
			t.Fatal(err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<10 {
			t.Errorf("%v: %d bytes of memory to open %d examples", info.Task, n, s.Len())
		}
		s.Close()
	}
}

// Figures are per 100 MB; the file lies in the page cache.
func BenchmarkOpen(b *testing.B) {
	for _, info := range []Info{manyTexts, manyPairs} {
		b.Run(info.Task.String(), func(b *testing.B) {
			const size = 100_000_000
			path := large(b, info, size)
			b.SetBytes(size)
			for b.Loop() {
				s, err := Open(path)
				if err != nil {
					b.Fatal(err)
				}
				s.Close()
			}
		})
	}
}

// What a lane's two rows cost, at the first step and at the ten millionth, of a
// small set and of one of 100 MB.
func BenchmarkBatch(b *testing.B) {
	for _, info := range []Info{manyTexts, manyPairs, manyToHide} {
		for _, size := range []int{1_000_000, 100_000_000} {
			s, err := Open(large(b, info, size))
			if err != nil {
				b.Fatal(err)
			}
			for _, step := range []uint64{0, 10_000_000} {
				b.Run(fmt.Sprintf("%v/%d_MB/step_%d", info.Task, size/1_000_000, step), func(b *testing.B) {
					b.ReportAllocs()
					p := Plan{Lanes: 8, MicroBatch: 2, Buckets: []int{128}, Balanced: info.Task == SeqCls}
					p.changes(info, 0.15)
					var batch Batch
					for i := uint64(0); b.Loop(); i++ {
						s.Batch(&batch, p, step+i/8, int(i%8))
					}
				})
			}
			s.Close()
		}
	}
}
