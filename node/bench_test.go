package node

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"carillon/objstore"
	"carillon/train"
)

// BenchmarkSave is what a checkpoint holds a step up: the copy of the state, of a LoRA of
// 300,000 parameters and of a full tuning with 1 GB of state, both with their moments.
// first is that of a job's first checkpoint.
func BenchmarkSave(b *testing.B) {
	for _, size := range []int{300_000, 83_000_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			st := &train.State{W: make([]float32, size), M: make([]float32, size), V: make([]float32, size)}
			s := newSaver("j", &objstore.Mem{}, 0, size, 2, slog.New(slog.DiscardHandler), func() {}, func(error) {})
			b.SetBytes(12 * int64(size))
			for _, c := range s.copies {
				c.busy.Wait() // the memory is there long before the first step ends
			}
			began := time.Now()
			save := func() {
				st.Step++
				if err := s.Save(st, 1, 1<<20, true); err != nil { // a share of nothing: the upload is another's
					b.Fatal(err)
				}
			}
			save()
			first := time.Since(began)
			save()
			for b.Loop() {
				save()
			}
			b.ReportMetric(first.Seconds()*1e3, "ms-first")
		})
	}
}
