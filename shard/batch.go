package shard

import (
	"encoding/binary"
	"slices"

	"carillon/endian"
	"carillon/job"
)

// Batch is what one run of a gradient reads: Rows x Len numbers, row by row.
// Its memory is kept from one filling to the next.
type Batch struct {
	Rows, Len int
	Real      int     // rows that hold an example; they come first. 0: nothing to run
	Tokens    []int32 // [Rows*Len], 0 on padding
	// Labels, [Rows*Len], are unshifted, and Ignore on padding, on what is not asked
	// for and in empty rows. Of CausalLM and MaskedLM: Ignore everywhere for other
	// tasks.
	Labels []int32
	// Mask, [Rows*Len], is 0 on padding, else the number of the token's part in
	// its row, from 1.
	Mask []int32
	// TargetLen is the width of Targets: 1 for SeqCls and Regression, the plan's
	// for Seq2SeqLM, 0 for CausalLM and MaskedLM.
	TargetLen int
	// Targets, [Rows*TargetLen], are classes, the bits of a float32, or ids;
	// Ignore on padding and empty rows.
	Targets []int32
	// DecoderTokens, [Rows*TargetLen], are a decoder's inputs: the targets shifted
	// right, with the decoder's start first and 0 for Ignore, as in Hugging Face's
	// T5. Empty for other tasks than Seq2SeqLM.
	DecoderTokens []int32

	inPlace bool // a label is of the token in its place, not of the one before
}

// Batch fills b with the rows of a lane, in [0, Lanes), at a step, counted from
// 0. Row i holds position step*V*m + lane*m + i. It allocates only where b is
// too small. The plan must have passed Check.
func (s *Set) Batch(b *Batch, p Plan, step uint64, lane int) {
	first := (step*uint64(p.Lanes) + uint64(lane)) * uint64(p.MicroBatch)
	left := s.end(p)
	left -= min(left, first)
	real := int(min(left, uint64(p.MicroBatch)))
	s.rows(b, p, real, func(i int) int { return s.example(p, first+uint64(i)) })
	for i := range real {
		switch position := first + uint64(i); {
		case b.inPlace:
			s.mask(b, i, p, MaskKey(p.Seed, position))
		case p.TokenDropout > 0:
			s.blank(b, i, p, position)
		}
	}
}

// EvalLen returns how many held-out examples the plan evaluates.
func (s *Set) EvalLen(p Plan) int {
	if p.EvalExamples > 0 {
		return min(p.EvalExamples, s.HeldOutLen())
	}
	return s.HeldOutLen()
}

// EvalBatches returns the number of evaluation batches: batch j, in
// [0, EvalBatches), belongs to lane j mod V.
func (s *Set) EvalBatches(p Plan) int {
	return (s.EvalLen(p) + p.MicroBatch - 1) / p.MicroBatch
}

// EvalBatch fills b with evaluation batch j. The same examples are evaluated
// whatever the seed, and as they are, or with the same tokens hidden; the last batch
// may have empty rows.
func (s *Set) EvalBatch(b *Batch, p Plan, j int) {
	first := j * p.MicroBatch
	real := max(min(s.EvalLen(p)-first, p.MicroBatch), 0)
	s.rows(b, p, real, func(i int) int { return s.evalExample(first + i) })
	if !b.inPlace {
		return
	}
	for i := range real {
		n := s.entry(s.evalExample(first + i)).tokens
		s.mask(b, i, p, HeldOutMaskKey(b.Tokens[i*b.Len:i*b.Len+n]))
	}
}

// EvalExample returns a copy of the i-th held-out example in the order in which
// EvalBatch takes them, i in [0, HeldOutLen).
func (s *Set) EvalExample(i int) Example { return s.copyOf(s.evalExample(i), true) }

// rows fills b's first real rows with the examples that pick names.
func (s *Set) rows(b *Batch, p Plan, real int, pick func(row int) int) {
	longest := 0
	for i := range real {
		longest = max(longest, s.entry(pick(i)).tokens)
	}
	b.reset(p.MicroBatch, bucket(p.Buckets, longest), real)
	b.resetTargets(s.layout.info.Task, p)
	for i := range real {
		s.fill(b, i, s.entry(pick(i)))
	}
}

// bucket returns the smallest bucket that holds n tokens.
func bucket(buckets []int, n int) int {
	i, _ := slices.BinarySearch(buckets, n)
	return buckets[i]
}

// reset makes b a batch of padding alone.
func (b *Batch) reset(rows, length, real int) {
	b.Rows, b.Len, b.Real = rows, length, real
	b.Tokens = filled(b.Tokens, rows*length, 0)
	b.Labels = filled(b.Labels, rows*length, Ignore)
	b.Mask = filled(b.Mask, rows*length, 0)
}

func (b *Batch) resetTargets(task Task, p Plan) {
	decoder := 0
	b.inPlace = task == MaskedLM
	switch task {
	case CausalLM, MaskedLM:
		b.TargetLen = 0
	case Seq2SeqLM:
		b.TargetLen, decoder = p.TargetLen, b.Rows*p.TargetLen
	default:
		b.TargetLen = 1
	}
	b.Targets = filled(b.Targets, b.Rows*b.TargetLen, Ignore)
	b.DecoderTokens = filled(b.DecoderTokens, decoder, 0)
}

// filled returns n times v, in dst's memory if it is large enough.
func filled(dst []int32, n int, v int32) []int32 {
	dst = slices.Grow(dst[:0], n)[:n]
	for i := range dst {
		dst[i] = v
	}
	return dst
}

// fill copies an example into a row of padding.
func (s *Set) fill(b *Batch, row int, e entry) {
	at := row * b.Len
	tokens, words := b.Tokens[at:at+e.tokens], s.data[e.at:]
	endian.Get(tokens, words)
	number(b.Mask[at:at+e.tokens], words[4*(e.tokens+e.labels):], e.starts)
	target := b.Targets[row*b.TargetLen : (row+1)*b.TargetLen]
	switch {
	case b.TargetLen > 0:
		endian.Get(target[:e.labels], words[4*e.tokens:])
	case e.labels == 0:
		copy(b.Labels[at:], tokens)
	default:
		endian.Get(b.Labels[at:at+e.labels], words[4*e.tokens:])
	}
	if len(b.DecoderTokens) > 0 {
		s.ShiftRight(b.DecoderTokens[row*b.TargetLen:(row+1)*b.TargetLen], target)
	}
}

// number writes the number of each token's part into its place of the mask.
func number(mask []int32, starts []byte, n int) {
	part, next := int32(1), 0
	for i := range mask {
		if next < n && uint32(i) == binary.LittleEndian.Uint32(starts[4*next:]) {
			part, next = part+1, next+1
		}
		mask[i] = part
	}
}

// ShiftRight fills dst, zeros, with what a decoder reads before it says target. Both are
// of one length, at least 1.
func (s *Set) ShiftRight(dst, target []int32) {
	dst[0] = s.layout.info.DecoderStart
	for i, id := range target[:len(target)-1] {
		if id != Ignore {
			dst[i+1] = id
		}
	}
}

// blank writes the blank over a share of a row's tokens, drawn by its position,
// but for the first of each part: a model may tell by it that a text begins.
func (s *Set) blank(b *Batch, row int, p Plan, position uint64) {
	key := job.NewKey(p.Seed, job.ForTokenDropout, position)
	at := row * b.Len
	tokens, mask := b.Tokens[at:at+b.Len], b.Mask[at:at+b.Len]
	for i := 1; i < len(mask) && mask[i] != 0; i++ {
		if mask[i] == mask[i-1] && float64(key.Uniform(uint64(i))) < p.TokenDropout {
			tokens[i] = s.layout.info.Blank
		}
	}
}

// Predicted returns how many labels the model is asked for. CausalLM: those that
// are not Ignore, the first of each row aside, which no token comes before.
// MaskedLM: those that are not Ignore. Seq2SeqLM: targets that are not Ignore.
// SeqCls and Regression: one a real row.
func (b *Batch) Predicted() int64 {
	var n int64
	for i, label := range b.Labels {
		if label != Ignore && (b.inPlace || i%b.Len != 0) {
			n++
		}
	}
	for _, target := range b.Targets {
		if target != Ignore {
			n++
		}
	}
	return n
}
