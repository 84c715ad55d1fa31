package shard

import (
	"math"
	"slices"
	"strings"
	"testing"

	"carillon/job"
)

func TestPermuteIsABijection(t *testing.T) {
	for n := uint64(1); n < 300; n++ {
		for epoch := range uint64(3) {
			seen := make([]bool, n)
			for i := range n {
				seen[Permute(job.NewKey(42, job.ForExamples, epoch), i, n)] = true
			}
			if at := slices.Index(seen, false); at >= 0 {
				t.Fatalf("n %d, epoch %d: nothing is sent to %d", n, epoch, at)
			}
		}
	}
}

// The permutation is part of a job's bits: these numbers must never change.
func TestPermuteHasItsBits(t *testing.T) {
	key := job.NewKey(42, job.ForExamples, 7)
	for _, tt := range []struct {
		n    uint64
		want []uint64
	}{
		{10, []uint64{9, 0, 3, 1, 7}},
		{4052, []uint64{1960, 701, 1547, 3069, 3291}},
		{1 << 40, []uint64{361407384918, 284028877180, 39578712231, 37737136902, 813791094866}},
	} {
		var got []uint64
		for i := range uint64(len(tt.want)) {
			got = append(got, Permute(key, i, tt.n))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("n %d: %d, want %d", tt.n, got, tt.want)
		}
	}
}

func TestPermuteShuffles(t *testing.T) {
	const n = 1000
	fixed, near := 0, 0
	for i := range uint64(n) {
		at := Permute(job.NewKey(1, job.ForExamples, 0), i, n)
		next := Permute(job.NewKey(1, job.ForExamples, 0), (i+1)%n, n)
		if at == i {
			fixed++
		}
		if next == at+1 {
			near++
		}
	}
	if fixed > 10 || near > 10 { // one each is expected
		t.Errorf("%d of %d stay where they are, %d keep their neighbour", fixed, n, near)
	}
}

// names returns the first tokens of a batch's real rows, which name the
// examples.
func names(b *Batch) []int32 {
	var out []int32
	for i := range b.Real {
		out = append(out, b.Tokens[i*b.Len])
	}
	return out
}

func TestEveryExampleStandsInEachEpochOnce(t *testing.T) {
	s := build(t, pairs(53)) // 43 to train on
	for _, shape := range []Plan{{Lanes: 1, MicroBatch: 1}, {Lanes: 8, MicroBatch: 2}, {Lanes: 3, MicroBatch: 5}, {Lanes: 64, MicroBatch: 2}} {
		p := shape
		p.Seed, p.Epochs, p.Buckets = 9, 3, []int{7}
		times := map[int32]int{}
		var b Batch
		for step := range uint64(43*3/(p.Lanes*p.MicroBatch) + 1) {
			for lane := range p.Lanes {
				s.Batch(&b, p, step, lane)
				for _, name := range names(&b) {
					times[name]++
				}
			}
		}
		if len(times) != 43 {
			t.Errorf("%d lanes of %d: %d different examples, want 43", p.Lanes, p.MicroBatch, len(times))
		}
		for name, n := range times {
			if n != 3 {
				t.Errorf("%d lanes of %d: example %d comes %d times in 3 epochs", p.Lanes, p.MicroBatch, name, n)
			}
		}
	}
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
	} {
		p := good
		tt.change(&p)
		if err := s.Check(p); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("err = %v; want %q", err, tt.want)
		}
	}
}

func TestPlanOf(t *testing.T) {
	spec := job.Spec{Seed: 4, Lanes: 8, MicroBatchSize: 2, NumEpochs: 1.5, SequenceLen: 64, EvalExamples: 128}
	if p := PlanOf(spec); p.Seed != 4 || p.Lanes != 8 || p.MicroBatch != 2 || p.Epochs != 1.5 || p.EvalExamples != 128 || !slices.Equal(p.Buckets, []int{64}) {
		t.Errorf("plan %+v", p)
	}
	spec.MaxSteps, spec.Buckets = 10, []int{32, 64}
	if p := PlanOf(spec); p.Epochs != 0 || !slices.Equal(p.Buckets, []int{32, 64}) {
		t.Errorf("with max_steps and length_buckets: plan %+v", p)
	}
}

func TestBatchDoesNotAllocate(t *testing.T) {
	s := build(t, pairs(53))
	p := Plan{Lanes: 8, MicroBatch: 2, Buckets: []int{4, 7}}
	var b Batch
	step := uint64(0)
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
		t.Errorf("%v allocations a step", n)
	}
}

func BenchmarkBatch(b *testing.B) {
	s := build(b, pairs(53))
	p := Plan{Lanes: 8, MicroBatch: 2, Buckets: []int{64}}
	var batch Batch
	for step := 0; b.Loop(); step++ {
		s.Batch(&batch, p, uint64(step), step%8)
	}
}
