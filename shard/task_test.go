package shard

import (
	"math"
	"slices"
	"strings"
	"testing"

	"carillon/job"
)

func TestParseTask(t *testing.T) {
	for want, name := range []string{"causal_lm", "seq_cls", "regression", "seq2seq_lm", "masked_lm"} {
		if got, err := ParseTask(name); err != nil || got != Task(want) || got.String() != name {
			t.Errorf("%s: task %d, %v", name, got, err)
		}
	}
	if _, err := ParseTask("token_cls"); err == nil || !strings.Contains(err.Error(), `task_type: "token_cls"; want one of ["causal_lm"`) {
		t.Errorf("err = %v", err)
	}
}

// inFileOrder returns the batch of a set's training examples in the order in which
// they are in the file, as far as the plan's rows go.
func inFileOrder(t *testing.T, s *Set, p Plan) *Batch {
	t.Helper()
	if err := s.Check(p); err != nil {
		t.Fatal(err)
	}
	var b Batch
	s.rows(&b, p, min(s.Len(), p.MicroBatch), func(i int) int { return i })
	return &b
}

// What Hugging Face's T5 makes of the labels of fixtures/cases/t5 (Ignore where a
// token is not learnt, and on padding).
func TestDecoderTokensAreTheTargetsShiftedRight(t *testing.T) {
	const no = Ignore
	s := buildAs(t, Info{Task: Seq2SeqLM, Vocab: 256, Blank: -1}, []Example{
		{Tokens: []int32{198, 59}, Labels: []int32{160, 241, 214, 92, 207, 142, 244, 1}},
		{Tokens: []int32{219, 40}, Labels: []int32{241, 193, 41, 16, no, 52, 127, 22, 205, 68, 1}},
		{Tokens: []int32{199, 181}, Labels: []int32{153, 71, 56, 73, 1}},
	})
	b := inFileOrder(t, s, Plan{Lanes: 1, MicroBatch: 4, Buckets: []int{3}, TargetLen: 11})
	if want := []int32{
		160, 241, 214, 92, 207, 142, 244, 1, no, no, no,
		241, 193, 41, 16, no, 52, 127, 22, 205, 68, 1,
		153, 71, 56, 73, 1, no, no, no, no, no, no,
		no, no, no, no, no, no, no, no, no, no, no, // an empty row
	}; b.TargetLen != 11 || !slices.Equal(b.Targets, want) {
		t.Errorf("targets of %d: %v", b.TargetLen, b.Targets)
	}
	if want := []int32{
		0, 160, 241, 214, 92, 207, 142, 244, 1, 0, 0,
		0, 241, 193, 41, 16, 0, 52, 127, 22, 205, 68,
		0, 153, 71, 56, 73, 1, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	}; !slices.Equal(b.DecoderTokens, want) {
		t.Errorf("decoder's inputs %v", b.DecoderTokens)
	}
	if n := b.Predicted(); n != 23 { // the case's "tokens"
		t.Errorf("%d targets are predicted, want 23", n)
	}
	if want := []int32{198, 59, 0, 219, 40, 0, 199, 181, 0, 0, 0, 0}; !slices.Equal(b.Tokens, want) {
		t.Errorf("tokens %v", b.Tokens)
	}
	if want := []int32{1, 1, 0, 1, 1, 0, 1, 1, 0, 0, 0, 0}; !slices.Equal(b.Mask, want) {
		t.Errorf("mask %v", b.Mask)
	}
	if slices.ContainsFunc(b.Labels, func(l int32) bool { return l != no }) {
		t.Errorf("labels %v, want %d alone", b.Labels, no)
	}
}

func TestADecoderBeginsWithItsStart(t *testing.T) {
	s := buildAs(t, Info{Task: Seq2SeqLM, Vocab: 256, Blank: -1, DecoderStart: 7}, []Example{{Tokens: []int32{1}, Labels: []int32{8, 9}}})
	b := inFileOrder(t, s, Plan{Lanes: 1, MicroBatch: 1, Buckets: []int{1}, TargetLen: 2})
	if want := []int32{7, 8}; !slices.Equal(b.DecoderTokens, want) {
		t.Errorf("decoder's inputs %v, want %v", b.DecoderTokens, want)
	}
}

func TestBatchesOfClassesAndNumbers(t *testing.T) {
	for _, tt := range []struct {
		info   Info
		labels []int32
	}{
		{Info{Task: SeqCls, Vocab: 10, Classes: 3, Blank: -1}, []int32{0, 2}},
		{Info{Task: Regression, Vocab: 10, Blank: -1}, []int32{bitsOf(-1.5), bitsOf(math.MaxFloat32)}},
	} {
		s := buildAs(t, tt.info, []Example{
			{Tokens: []int32{5, 6, 7}, Labels: tt.labels[:1], Starts: []int32{2}}, // a pair of texts
			{Tokens: []int32{8, 9}, Labels: tt.labels[1:]},
		})
		b := inFileOrder(t, s, Plan{Lanes: 1, MicroBatch: 3, Buckets: []int{4}})
		if want := append(slices.Clone(tt.labels), Ignore); b.TargetLen != 1 || !slices.Equal(b.Targets, want) {
			t.Errorf("%v: targets of %d: %v, want %v", tt.info.Task, b.TargetLen, b.Targets, want)
		}
		if want := []int32{5, 6, 7, 0, 8, 9, 0, 0, 0, 0, 0, 0}; !slices.Equal(b.Tokens, want) {
			t.Errorf("%v: tokens %v, want %v", tt.info.Task, b.Tokens, want)
		}
		if want := []int32{1, 1, 2, 0, 1, 1, 0, 0, 0, 0, 0, 0}; !slices.Equal(b.Mask, want) {
			t.Errorf("%v: mask %v, want %v", tt.info.Task, b.Mask, want)
		}
		if want := slices.Repeat([]int32{Ignore}, 12); !slices.Equal(b.Labels, want) {
			t.Errorf("%v: labels %v, want %d alone", tt.info.Task, b.Labels, Ignore)
		}
		if b.Predicted() != 2 || len(b.DecoderTokens) > 0 {
			t.Errorf("%v: %d are predicted, %d inputs of a decoder", tt.info.Task, b.Predicted(), len(b.DecoderTokens))
		}
	}
}

func TestAPacksPartsAreNumbered(t *testing.T) {
	s := build(t, []Example{
		{Tokens: []int32{1, 2, 3, 4, 5, 6}, Labels: []int32{Ignore, 2, Ignore, Ignore, 5, 6}, Starts: []int32{2, 3}},
		{Tokens: []int32{7, 8}, HeldOut: true},
	})
	p := Plan{Lanes: 1, MicroBatch: 2, Buckets: []int{8}}
	b := inFileOrder(t, s, p)
	if want := []int32{1, 1, 2, 3, 3, 3, 0, 0}; !slices.Equal(b.Mask[:8], want) {
		t.Errorf("mask %v, want %v", b.Mask[:8], want)
	}
	if want := []int32{Ignore, 2, Ignore, Ignore, 5, 6, Ignore, Ignore}; !slices.Equal(b.Labels[:8], want) {
		t.Errorf("labels %v, want %v", b.Labels[:8], want)
	}
	if b.Predicted() != 3 || b.TargetLen != 0 || len(b.Targets) > 0 {
		t.Errorf("%d labels are predicted, want 3; %d targets of %d, want none", b.Predicted(), len(b.Targets), b.TargetLen)
	}
	s.EvalBatch(b, p, 0) // the same memory, one part
	if want := []int32{1, 1, 0, 0, 0, 0, 0, 0}; !slices.Equal(b.Mask[:8], want) || b.Predicted() != 1 {
		t.Errorf("held out: mask %v, want %v", b.Mask[:8], want)
	}
}

func TestABatchsMemoryMayServeAnotherTask(t *testing.T) {
	var used, fresh Batch
	for range 2 {
		for _, tt := range samples() {
			s := buildAs(t, tt.info, tt.examples)
			p := Plan{Lanes: 2, MicroBatch: 3, Buckets: []int{7}, TargetLen: 4}
			s.Batch(&used, p, 1, 1)
			fresh = Batch{}
			s.Batch(&fresh, p, 1, 1)
			for i, part := range [][2][]int32{{used.Tokens, fresh.Tokens}, {used.Labels, fresh.Labels}, {used.Mask, fresh.Mask}, {used.Targets, fresh.Targets}, {used.DecoderTokens, fresh.DecoderTokens}} {
				if !slices.Equal(part[0], part[1]) {
					t.Errorf("%v: part %d is %v, and %v in new memory", tt.info.Task, i, part[0], part[1])
				}
			}
			if used.TargetLen != fresh.TargetLen || used.Predicted() != fresh.Predicted() {
				t.Errorf("%v: targets of %d, and %d in new memory", tt.info.Task, used.TargetLen, fresh.TargetLen)
			}
		}
	}
}

// unbalanced has 90 examples of class 1 and 10 of class 3, and some held out.
// The first token is the class, the second the example's number.
func unbalanced(t testing.TB) *Set {
	var examples []Example
	for i := range int32(110) {
		class := int32(1)
		if i%10 == 9 {
			class = 3
		}
		examples = append(examples, Example{Tokens: []int32{class, i}, Labels: []int32{class}, HeldOut: i >= 100})
	}
	return buildAs(t, Info{Task: SeqCls, Vocab: 1000, Classes: 5, Blank: -1}, examples)
}

func TestBalancedDrawsClassesAlike(t *testing.T) {
	s := unbalanced(t)
	p := Plan{Seed: 5, Lanes: 4, MicroBatch: 5, Buckets: []int{2}, Balanced: true}
	class, member := map[int32]int{}, map[int32]int{}
	var b Batch
	const steps = 1000
	for step := range uint64(steps) {
		for lane := range p.Lanes {
			s.Batch(&b, p, step, lane)
			for i := range b.Real {
				if b.Tokens[2*i] != b.Targets[i] || b.Tokens[2*i+1] >= 100 {
					t.Fatalf("row %v with class %d", b.Tokens[2*i:2*i+2], b.Targets[i])
				}
				class[b.Targets[i]]++
				member[b.Tokens[2*i+1]]++
			}
		}
	}
	rows := steps * p.Lanes * p.MicroBatch
	if len(class) != 2 || math.Abs(float64(class[1])/float64(rows)-0.5) > 0.02 {
		t.Errorf("classes are drawn %v times of %d", class, rows)
	}
	for i := range int32(100) { // 111 or 1000 times each are expected
		want := float64(rows) / 2 / 90
		if i%10 == 9 {
			want = float64(rows) / 2 / 10
		}
		if got := float64(member[i]); math.Abs(got-want) > 5*math.Sqrt(want) {
			t.Errorf("example %d is drawn %v times, want about %v", i, got, want)
		}
	}
}

// What is drawn is part of a job's bits: these numbers must never change.
func TestBalancedHasItsBits(t *testing.T) {
	s := unbalanced(t)
	var b Batch
	s.Batch(&b, Plan{Seed: 42, Lanes: 1, MicroBatch: 8, Buckets: []int{2}, Balanced: true}, 10_000_000, 0)
	var got []int32
	for i := range b.Real {
		got = append(got, b.Tokens[2*i+1])
	}
	if want := []int32{69, 41, 39, 39, 19, 29, 97, 18}; !slices.Equal(got, want) {
		t.Errorf("examples %v, want %v", got, want)
	}
}

func TestBalancedFollowsThePositionAndEndsWithTheEpochs(t *testing.T) {
	s := unbalanced(t)
	var wide, narrow Batch
	s.Batch(&wide, Plan{Seed: 5, Lanes: 1, MicroBatch: 12, Epochs: 1, Buckets: []int{2}, Balanced: true}, 8, 0)
	var rows []int32
	for lane := range 4 {
		s.Batch(&narrow, Plan{Seed: 5, Lanes: 4, MicroBatch: 3, Epochs: 1, Buckets: []int{2}, Balanced: true}, 8, lane)
		rows = append(rows, narrow.Tokens[:2*narrow.Real]...)
	}
	if wide.Real != 4 || !slices.Equal(wide.Tokens[:8], rows) {
		t.Errorf("%d rows %v in one lane, %v in four", wide.Real, wide.Tokens[:8], rows)
	}
}

// long is a set of one pack of 1000 tokens in four parts, also held out.
func long(t testing.TB) *Set {
	x := Example{Starts: []int32{1, 2, 500}}
	for i := range int32(1000) {
		x.Tokens, x.Labels = append(x.Tokens, i), append(x.Labels, i)
	}
	for _, at := range append(x.Starts, 0) {
		x.Labels[at] = Ignore
	}
	held := x
	held.HeldOut = true
	return buildAs(t, Info{Vocab: 2000, Blank: 1999}, []Example{x, held})
}

func TestTokenDropoutBlanksItsShare(t *testing.T) {
	s := long(t)
	p := Plan{Seed: 3, Lanes: 2, MicroBatch: 1, Buckets: []int{1024}}
	var plain, b Batch
	s.Batch(&plain, p, 0, 0)
	for _, share := range []float64{0.1, 0.5, 0.99} {
		p.TokenDropout = share
		blanks := 0
		for step := range uint64(10) {
			s.Batch(&b, p, step, 1)
			for i, id := range b.Tokens {
				switch {
				case id == plain.Tokens[i]:
				case id == 1999 && i != 0 && !slices.Contains([]int{1, 2, 500}, i) && i < 1000:
					blanks++
				default:
					t.Fatalf("token %d is %d", i, id)
				}
			}
			if !slices.Equal(b.Labels, plain.Labels) || !slices.Equal(b.Mask, plain.Mask) {
				t.Fatal("labels or mask are changed too")
			}
		}
		if got := float64(blanks) / (10 * 996); math.Abs(got-share) > 0.02 {
			t.Errorf("a share of %v is blank, want %v", got, share)
		}
	}
	s.EvalBatch(&b, p, 0)
	if !slices.Equal(b.Tokens, plain.Tokens) {
		t.Error("tokens of a held-out example are blank")
	}
}

// The same example loses other tokens each time it comes, and the same ones
// wherever the position is carried.
func TestTokenDropoutFollowsThePosition(t *testing.T) {
	s := long(t)
	var wide, narrow Batch
	s.Batch(&wide, Plan{Seed: 3, Lanes: 1, MicroBatch: 4, Buckets: []int{1000}, TokenDropout: 0.3}, 5, 0)
	for lane := range 4 {
		s.Batch(&narrow, Plan{Seed: 3, Lanes: 4, MicroBatch: 1, Buckets: []int{1000}, TokenDropout: 0.3}, 5, lane)
		if row := wide.Tokens[1000*lane : 1000*(lane+1)]; !slices.Equal(row, narrow.Tokens) {
			t.Errorf("position %d of the step differs between one lane and four", lane)
		}
		if lane > 0 && slices.Equal(narrow.Tokens, wide.Tokens[:1000]) {
			t.Error("two positions have the same blanks")
		}
	}
	key := job.NewKey(3, job.ForTokenDropout, 20)
	for i := range uint64(1000) {
		if got := wide.Tokens[i] == 1999; i > 2 && i != 500 && got != (key.Uniform(i) < 0.3) {
			t.Fatalf("token %d is blank: %v; the position's draw says otherwise", i, got)
		}
	}
}
