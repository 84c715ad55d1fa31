package shard

import (
	"fmt"
	"math"
	"slices"

	"carillon/job"
)

// Plan is what of a job's spec decides its batches.
type Plan struct {
	Seed       uint64
	Lanes      int // V, the lanes of the job
	MicroBatch int // m, rows of a lane
	// Epochs ends the training part: rows after that many passes are empty.
	// 0: no end (max_steps ends the job).
	Epochs float64
	// Buckets are the lengths that a batch may have, ascending. A batch takes
	// the smallest that holds the lane's own examples.
	Buckets []int
	// EvalExamples bounds the held-out examples that are evaluated; 0: all.
	EvalExamples int
	// Balanced draws each training row with replacement: a class, all as likely,
	// then one of its examples. SeqCls only.
	Balanced bool
	// TokenDropout is the share of a training row's tokens that become blank.
	TokenDropout float64
	// TargetLen is the padded length of targets. Seq2SeqLM only.
	TargetLen int
}

// PlanOf returns the plan of a recipe. Without length_buckets every batch has
// sequence_len; with max_steps the steps end the job, not the epochs.
func PlanOf(spec job.Spec) Plan {
	p := Plan{
		Seed:         spec.Seed,
		Lanes:        spec.Lanes,
		MicroBatch:   spec.MicroBatchSize,
		Epochs:       spec.NumEpochs,
		Buckets:      spec.Buckets,
		EvalExamples: spec.EvalExamples,
	}
	if spec.MaxSteps > 0 {
		p.Epochs = 0
	}
	if len(p.Buckets) == 0 {
		p.Buckets = []int{spec.SequenceLen}
	}
	return p
}

// Batch is what one run of a gradient reads: Rows x Len numbers, row by row.
// Its memory is kept from one filling to the next.
type Batch struct {
	Rows, Len int
	Real      int     // rows that hold an example; they come first. 0: nothing to run
	Tokens    []int32 // [Rows*Len], 0 on padding
	Labels    []int32 // [Rows*Len], unshifted; Ignore on padding, prompts and empty rows
	// Mask, [Rows*Len], is 0 on padding, else the number of the token's part in
	// its row, from 1.
	Mask []int32
	// TargetLen is the width of Targets: 1 for SeqCls and Regression, 0 for
	// CausalLM.
	TargetLen int
	// Targets, [Rows*TargetLen], are classes, bits of float32 or ids; Ignore on
	// padding and empty rows.
	Targets []int32
	// DecoderTokens are a decoder's inputs: the targets, shifted right.
	// [Rows*TargetLen] for Seq2SeqLM, else empty.
	DecoderTokens []int32
}

// Check says whether the plan can be carried out on this set; Batch and
// EvalBatch rely on it.
func (s *Set) Check(p Plan) error {
	switch {
	case p.Lanes < 1 || p.MicroBatch < 1:
		return fmt.Errorf("lanes %d, micro_batch_size %d: both must be at least 1", p.Lanes, p.MicroBatch)
	case len(p.Buckets) == 0 || p.Buckets[0] < 1 || !slices.IsSorted(p.Buckets):
		return fmt.Errorf("length_buckets %v: want ascending lengths of at least 1", p.Buckets)
	case p.Buckets[len(p.Buckets)-1] < s.MaxLen():
		return fmt.Errorf("length_buckets %v: the longest example has %d tokens, which no bucket holds", p.Buckets, s.MaxLen())
	case math.IsNaN(p.Epochs) || p.Epochs < 0 || p.EvalExamples < 0:
		return fmt.Errorf("num_epochs %v, eval_examples %d: neither may be negative", p.Epochs, p.EvalExamples)
	}
	return nil
}

// end returns the position at which the job's examples end.
func (s *Set) end(p Plan) uint64 {
	if p.Epochs == 0 {
		return math.MaxUint64
	}
	return uint64(math.Ceil(float64(s.layout.train) * p.Epochs))
}

// Batch fills b with the rows of a lane, in [0, Lanes), at a step, counted from
// 0. Row i holds position step*V*m + lane*m + i. It allocates only where b is
// too small. The plan must have passed Check.
func (s *Set) Batch(b *Batch, p Plan, step uint64, lane int) {
	first := (step*uint64(p.Lanes) + uint64(lane)) * uint64(p.MicroBatch)
	left := s.end(p)
	left -= min(left, first)
	real := int(min(left, uint64(p.MicroBatch)))
	s.rows(b, p, real, func(i int) int {
		_, example := s.Epoch(p.Seed, first+uint64(i))
		return example
	})
}

// EvalLen returns how many held-out examples the plan evaluates.
func (s *Set) EvalLen(p Plan) int {
	if p.EvalExamples > 0 {
		return min(p.EvalExamples, s.layout.heldOut)
	}
	return s.layout.heldOut
}

// EvalBatches returns the number of evaluation batches: batch j, in
// [0, EvalBatches), belongs to lane j mod V.
func (s *Set) EvalBatches(p Plan) int {
	return (s.EvalLen(p) + p.MicroBatch - 1) / p.MicroBatch
}

// EvalBatch fills b with evaluation batch j. The same examples are evaluated
// whatever the seed; the last batch may have empty rows.
func (s *Set) EvalBatch(b *Batch, p Plan, j int) {
	first := j * p.MicroBatch
	real := min(s.EvalLen(p)-first, p.MicroBatch)
	s.rows(b, p, max(real, 0), func(i int) int { return s.evalExample(first + i) })
}

// EvalExample returns a copy of the i-th held-out example in the order in which
// EvalBatch takes them, i in [0, HeldOutLen).
func (s *Set) EvalExample(i int) Example { return s.copyOf(s.evalExample(i), true) }

// rows fills b's first real rows with the examples that pick names.
func (s *Set) rows(b *Batch, p Plan, real int, pick func(row int) int) {
	longest := 0
	for i := range real {
		longest = max(longest, s.entry(pick(i)).length)
	}
	b.reset(p.MicroBatch, bucket(p.Buckets, longest), real)
	for i := range real {
		e, at := s.entry(pick(i)), i*b.Len
		s.fill(e, b.Tokens[at:at+b.Len], b.Labels[at:at+b.Len])
		for k := range e.length {
			b.Mask[at+k] = 1
		}
	}
}

// bucket returns the smallest bucket that holds n tokens.
func bucket(buckets []int, n int) int {
	i, _ := slices.BinarySearch(buckets, n)
	return buckets[i]
}

// reset makes b a batch of padding alone.
func (b *Batch) reset(rows, length, real int) {
	n := rows * length
	b.Rows, b.Len, b.Real = rows, length, real
	b.Tokens = slices.Grow(b.Tokens[:0], n)[:n]
	b.Labels = slices.Grow(b.Labels[:0], n)[:n]
	b.Mask = slices.Grow(b.Mask[:0], n)[:n]
	clear(b.Tokens)
	clear(b.Mask)
	for i := range b.Labels {
		b.Labels[i] = Ignore
	}
}

// Predicted returns how many labels a causal model is asked for: those that are
// not Ignore, the first of each row aside, which no token comes before.
func (b *Batch) Predicted() int64 {
	var n int64
	for i, label := range b.Labels {
		if label != Ignore && i%b.Len != 0 {
			n++
		}
	}
	return n
}
