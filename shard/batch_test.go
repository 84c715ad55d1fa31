package shard

import (
	"math"
	"slices"
	"strings"
	"testing"

	"carillon/job"
)

// names returns the first tokens of a batch's real rows, which name the
// examples.
func names(b *Batch) []int32 {
	var out []int32
	for i := range b.Real {
		out = append(out, b.Tokens[i*b.Len])
	}
	return out
}

// A lane's rows follow from the position alone: eight lanes of two hold what
// one lane of sixteen holds.
func TestBatchFollowsThePosition(t *testing.T) {
	s := build(t, pairs(53))
	var wide, narrow Batch
	for _, step := range []uint64{0, 1, 5, 10_000_000} {
		s.Batch(&wide, Plan{Lanes: 1, MicroBatch: 16, Seed: 3, Buckets: []int{7}}, step, 0)
		var rows []int32
		for lane := range 8 {
			s.Batch(&narrow, Plan{Lanes: 8, MicroBatch: 2, Seed: 3, Buckets: []int{7}}, step, lane)
			rows = append(rows, names(&narrow)...)
		}
		if !slices.Equal(names(&wide), rows) {
			t.Errorf("step %d: %v in one lane, %v in eight", step, names(&wide), rows)
		}
	}
}

func TestBatchIsPaddedAndMasked(t *testing.T) {
	s := build(t, []Example{
		{Tokens: []int32{5, 6, 7}, Labels: []int32{Ignore, Ignore, 7}},
		{Tokens: []int32{8, 9}},
	})
	var b Batch
	s.Batch(&b, Plan{Lanes: 1, MicroBatch: 3, Epochs: 1, Buckets: []int{2, 4, 8}}, 0, 0)
	if b.Rows != 3 || b.Len != 4 || b.Real != 2 {
		t.Fatalf("%d rows of %d, %d real; want 3 of 4, 2 real", b.Rows, b.Len, b.Real)
	}
	pair, text := 0, 4
	if b.Tokens[0] == 8 {
		pair, text = 4, 0
	}
	for _, tt := range []struct {
		name            string
		at              int
		tokens, labels  []int32
		mask            []int32
		predicted, real int
	}{
		{"pair", pair, []int32{5, 6, 7, 0}, []int32{Ignore, Ignore, 7, Ignore}, []int32{1, 1, 1, 0}, 1, 1},
		{"text", text, []int32{8, 9, 0, 0}, []int32{8, 9, Ignore, Ignore}, []int32{1, 1, 0, 0}, 1, 1},
		{"empty", 8, []int32{0, 0, 0, 0}, []int32{Ignore, Ignore, Ignore, Ignore}, []int32{0, 0, 0, 0}, 0, 0},
	} {
		if got := b.Tokens[tt.at : tt.at+4]; !slices.Equal(got, tt.tokens) {
			t.Errorf("%s: tokens %v, want %v", tt.name, got, tt.tokens)
		}
		if got := b.Labels[tt.at : tt.at+4]; !slices.Equal(got, tt.labels) {
			t.Errorf("%s: labels %v, want %v", tt.name, got, tt.labels)
		}
		if got := b.Mask[tt.at : tt.at+4]; !slices.Equal(got, tt.mask) {
			t.Errorf("%s: mask %v, want %v", tt.name, got, tt.mask)
		}
	}
	if b.Predicted() != 2 { // 7 of the pair, 9 of the text: nothing comes before 8
		t.Errorf("%d labels are predicted, want 2", b.Predicted())
	}
}

func TestTheBucketIsTheLanesOwn(t *testing.T) {
	s := build(t, pairs(53))
	p := Plan{Lanes: 8, MicroBatch: 2, Buckets: []int{2, 4, 7}}
	var b Batch
	seen := map[int]bool{}
	for step := range uint64(20) {
		for lane := range p.Lanes {
			s.Batch(&b, p, step, lane)
			longest := 0
			for i := range b.Real {
				longest = max(longest, int(b.Tokens[i*b.Len])%7+1)
			}
			if want := bucket(p.Buckets, longest); b.Len != want {
				t.Fatalf("step %d lane %d: bucket %d for %d tokens, want %d", step, lane, b.Len, longest, want)
			}
			seen[b.Len] = true
		}
	}
	if len(seen) != 3 {
		t.Errorf("buckets seen: %v, want all three", seen)
	}
}

func TestAfterTheLastEpochNothingIsReal(t *testing.T) {
	s := build(t, pairs(53))
	var b Batch
	p := Plan{Lanes: 2, MicroBatch: 4, Epochs: 0.5, Buckets: []int{7}} // ends after 22 examples
	var real []int
	for step := range uint64(4) {
		for lane := range 2 {
			s.Batch(&b, p, step, lane)
			real = append(real, b.Real)
		}
	}
	if want := []int{4, 4, 4, 4, 4, 2, 0, 0}; !slices.Equal(real, want) {
		t.Errorf("real rows %v, want %v", real, want)
	}
	s.Batch(&b, p, 1<<50, 0)
	if b.Real != 0 || b.Predicted() != 0 {
		t.Errorf("long after the end %d rows are real", b.Real)
	}
}

func TestEvalBatchesHoldEveryHeldOutExampleOnce(t *testing.T) {
	s := build(t, pairs(53)) // 10 held out
	for _, tt := range []struct{ limit, want, batches int }{{0, 10, 4}, {7, 7, 3}, {100, 10, 4}} {
		p := Plan{Lanes: 2, MicroBatch: 3, Buckets: []int{7}, EvalExamples: tt.limit}
		var b Batch
		var all []int32
		for j := range s.EvalBatches(p) {
			s.EvalBatch(&b, p, j)
			all = append(all, names(&b)...)
		}
		if s.EvalBatches(p) != tt.batches || len(all) != tt.want {
			t.Errorf("eval_examples %d: %d examples in %d batches, want %d in %d", tt.limit, len(all), s.EvalBatches(p), tt.want, tt.batches)
		}
		for i, name := range all {
			if name%5 != 4 {
				t.Errorf("example %d is not held out", name)
			}
			if want := s.EvalExample(i).Tokens[0]; want != name {
				t.Errorf("eval example %d is %d in a batch, %d alone", i, name, want)
			}
		}
		slices.Sort(all)
		if len(slices.Compact(all)) != tt.want {
			t.Errorf("eval_examples %d: an example comes twice", tt.limit)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	s := build(t, pairs(20))
	good := Plan{Lanes: 8, MicroBatch: 2, Buckets: []int{4, 7}}
	if err := s.Check(good); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		want   string
		change func(*Plan)
	}{
		{"lanes 0", func(p *Plan) { p.Lanes = 0 }},
		{"micro_batch_size 0", func(p *Plan) { p.MicroBatch = 0 }},
		{"length_buckets []", func(p *Plan) { p.Buckets = nil }},
		{"ascending", func(p *Plan) { p.Buckets = []int{7, 4} }},
		{"longest example has 7", func(p *Plan) { p.Buckets = []int{4} }},
		{"num_epochs NaN", func(p *Plan) { p.Epochs = math.NaN() }},
		{"eval_examples -1", func(p *Plan) { p.EvalExamples = -1 }},
		{"mlm_probability 0.1: the shard's task is causal_lm", func(p *Plan) { p.MaskShare = 0.1 }},
		{"causal_lm, which has no classes", func(p *Plan) { p.Balanced = true }},
		{"token_dropout 1", func(p *Plan) { p.TokenDropout = 1 }},
		{"token_dropout -0.1", func(p *Plan) { p.TokenDropout = -0.1 }},
		{"token_dropout NaN", func(p *Plan) { p.TokenDropout = math.NaN() }},
		{"no token to write over others", func(p *Plan) { p.TokenDropout = 0.1 }},
	} {
		p := good
		tt.change(&p)
		if err := s.Check(p); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("err = %v; want %q", err, tt.want)
		}
	}
}

func TestCheckRefusesTargetsThatAreTooLong(t *testing.T) {
	targets := samples()[3]
	s := buildAs(t, targets.info, targets.examples)
	err := s.Check(Plan{Lanes: 1, MicroBatch: 1, Buckets: []int{7}, TargetLen: 3})
	if err == nil || !strings.Contains(err.Error(), "max_target_length 3: the longest target has 4 tokens") {
		t.Errorf("err = %v", err)
	}
}

func TestPlanOf(t *testing.T) {
	spec := job.Spec{Seed: 4, Lanes: 8, MicroBatchSize: 2, NumEpochs: 1.5, SequenceLen: 64, EvalExamples: 128}
	if p := PlanOf(spec); p.Seed != 4 || p.Lanes != 8 || p.MicroBatch != 2 || p.Epochs != 1.5 || p.EvalExamples != 128 || !slices.Equal(p.Buckets, []int{64}) || p.TargetLen != 64 || p.Balanced || p.TokenDropout != 0 {
		t.Errorf("plan %+v", p)
	}
	spec.MaxSteps, spec.Buckets = 10, []int{32, 64}
	if p := PlanOf(spec); p.Epochs != 0 || !slices.Equal(p.Buckets, []int{32, 64}) {
		t.Errorf("with max_steps and length_buckets: plan %+v", p)
	}
	spec.MaxTargetLength, spec.Balance, spec.TokenDropout, spec.MLMProbability = 16, "sampling", 0.25, 0.5
	if p := PlanOf(spec); p.TargetLen != 16 || !p.Balanced || p.TokenDropout != 0.25 || p.MaskShare != 0.5 {
		t.Errorf("with max_target_length, balance, token_dropout and mlm_probability: plan %+v", p)
	}
}

// At step 0 as at step ten million, for every task.
func TestBatchDoesNotAllocate(t *testing.T) {
	for _, tt := range samples() {
		s := buildAs(t, tt.info, tt.examples)
		p := Plan{Lanes: 8, MicroBatch: 2, Buckets: []int{4, 7}, TargetLen: 5, Balanced: tt.info.Task == SeqCls}
		p.changes(tt.info, 0.1)
		if err := s.Check(p); err != nil {
			t.Fatal(err)
		}
		for _, step := range []uint64{0, 10_000_000} {
			var b Batch
			once := func() {
				for lane := range p.Lanes {
					s.Batch(&b, p, step, lane)
				}
				s.EvalBatch(&b, p, 1)
				step++
			}
			for range 20 {
				once()
			}
			if n := testing.AllocsPerRun(100, once); n != 0 {
				t.Errorf("%v: %v allocations a step at step %d", tt.info.Task, n, step)
			}
		}
	}
}
