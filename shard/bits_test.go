package shard

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"testing"
)

// What rows a lane gets at a step is part of a job's bits: these hashes are
// format version 1's, and must never change.
func TestBatchesHaveTheirBits(t *testing.T) {
	s := build(t, append(pairs(53), Example{Tokens: []int32{900, 901, 902}})) // the last is text
	p := Plan{Seed: 42, Lanes: 8, MicroBatch: 2, Epochs: 2.5, Buckets: []int{2, 4, 7}, EvalExamples: 7}
	for _, tt := range []struct {
		name, want string
		run        func(b *Batch, add func())
	}{
		{"training", "43fb276d45892e21", func(b *Batch, add func()) {
			for step := range uint64(8) { // the last of them after the last epoch
				for lane := range p.Lanes {
					s.Batch(b, p, step, lane)
					add()
				}
			}
		}},
		{"held out", "74b8eb1abba330b7", func(b *Batch, add func()) {
			for j := range s.EvalBatches(p) {
				s.EvalBatch(b, p, j)
				add()
			}
		}},
	} {
		var b Batch
		sum := sha256.New()
		tt.run(&b, func() {
			for _, part := range [][]int32{{int32(b.Rows), int32(b.Len), int32(b.Real), int32(b.Predicted())}, b.Tokens, b.Labels, b.Mask} {
				binary.Write(sum, binary.LittleEndian, part)
			}
		})
		if got := hex.EncodeToString(sum.Sum(nil)[:8]); got != tt.want {
			t.Errorf("%s: rows hash to %s, want %s", tt.name, got, tt.want)
		}
	}
}
