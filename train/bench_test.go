package train

import (
	"fmt"
	"testing"

	"carillon/allreduce"
	"carillon/job"
	"carillon/shard"
)

// BenchmarkHost is what a full fine-tuning step does outside the graph, on a node
// alone with one lane, for GPT-2 small: the scales, the integers, the sum, the
// update, and the names of both.
func BenchmarkHost(b *testing.B) {
	for _, size := range []int{4 << 20, 124_439_808} {
		b.Run(fmt.Sprint(size), func(b *testing.B) { benchmarkHost(b, size) })
	}
}

func benchmarkHost(b *testing.B, size int) {
	q, err := allreduce.NewQuantizer(allreduce.Q8, 1)
	if err != nil {
		b.Fatal(err)
	}
	t := &Trainer{
		cfg:       Config{Data: &shard.Set{}, Spec: job.Spec{Lanes: 1, AdamBeta1: 0.9, AdamBeta2: 0.999, AdamEpsilon: 1e-8, MaxGradNorm: 1}},
		quantizer: q,
		state:     State{W: make([]float32, size), M: make([]float32, size), V: make([]float32, size)},
		history:   newHistory(size),
		work:      newBuffers(size),
	}
	t.adam = adamW(t.cfg.Spec, nil)
	lane := make([]float32, size)
	for i := range lane {
		lane[i] = float32(i%1009)*1e-3 - 0.5
	}
	b.SetBytes(4 * int64(size))
	for b.Loop() {
		clear(t.work.exps)
		allreduce.MaxExponents(t.work.exps, lane)
		q.SumLanes(t.work.sum, t.work.exps, allreduce.Lane{Gradient: lane, Noise: job.Key{1, 2}})
		q.Requantize(t.work.sum, t.work.exps, job.Key{3, 4}, 0)
		if _, err := t.apply(t.work.sum, t.work.exps, allreduce.Tail{allreduce.Tokens: 100}); err != nil {
			b.Fatal(err)
		}
	}
}
