package shard

import (
	"cmp"
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
	// TokenDropout is the share of a training row's tokens that become blank, in
	// [0, 1). The first token of a part never does.
	TokenDropout float64
	// MaskShare is the share of a row's tokens that are asked for, in (0, 1].
	// MaskedLM only, else 0.
	MaskShare float64
	// TargetLen is the padded length of targets. Seq2SeqLM only.
	TargetLen int
}

// PlanOf returns the plan of a recipe. Without length_buckets every batch has
// sequence_len, and without max_target_length every target; with max_steps the
// steps end the job, not the epochs.
func PlanOf(spec job.Spec) Plan {
	p := Plan{
		Seed:         spec.Seed,
		Lanes:        spec.Lanes,
		MicroBatch:   spec.MicroBatchSize,
		Epochs:       spec.NumEpochs,
		Buckets:      spec.Buckets,
		EvalExamples: spec.EvalExamples,
		Balanced:     spec.Balance == "sampling",
		TokenDropout: spec.TokenDropout,
		MaskShare:    spec.MLMProbability,
		TargetLen:    cmp.Or(spec.MaxTargetLength, spec.SequenceLen),
	}
	if spec.MaxSteps > 0 {
		p.Epochs = 0
	}
	if len(p.Buckets) == 0 {
		p.Buckets = []int{spec.SequenceLen}
	}
	return p
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
	case s.MaxTarget() > p.TargetLen:
		return fmt.Errorf("max_target_length %d: the longest target has %d tokens", p.TargetLen, s.MaxTarget())
	}
	return s.checkChanges(p)
}

// checkChanges is Check for what changes training rows at random.
func (s *Set) checkChanges(p Plan) error {
	info := s.Info()
	switch {
	case p.Balanced && info.Task != SeqCls:
		return fmt.Errorf("balance sampling: the shard's task is %v, which has no classes", info.Task)
	case !(p.TokenDropout >= 0 && p.TokenDropout < 1):
		return fmt.Errorf("token_dropout %v: want 0 or more, and less than 1", p.TokenDropout)
	case p.TokenDropout > 0 && info.Blank < 0:
		return fmt.Errorf("token_dropout %v: the tokenizer has no token to write over others", p.TokenDropout)
	}
	return info.checkMasking(p)
}

// end returns the position at which the job's examples end.
func (s *Set) end(p Plan) uint64 {
	if p.Epochs == 0 {
		return math.MaxUint64
	}
	return uint64(math.Ceil(float64(s.layout.train) * p.Epochs))
}
