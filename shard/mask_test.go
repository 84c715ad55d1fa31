package shard

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"math"
	"slices"
	"strings"
	"testing"
)

// changes has a plan change rows at random as its set's task allows.
func (p *Plan) changes(info Info, share float64) {
	switch {
	case info.Task == MaskedLM:
		p.MaskShare = share
	case info.Blank >= 0:
		p.TokenDropout = share
	}
}

// The tokens of the sets below: a frame of two, what hides, and others.
const (
	opens, closes, hides = 1, 2, 3
	ordinary             = 10 // the first id that a text has
)

// maskable is a framed text of n tokens, which counts up from a number.
func maskable(from, n int32, heldOut bool) Example {
	x := Example{Tokens: []int32{opens}, Labels: []int32{Ignore}, HeldOut: heldOut}
	for i := range n {
		x.Tokens, x.Labels = append(x.Tokens, ordinary+from+i), append(x.Labels, ordinary+from+i)
	}
	x.Tokens, x.Labels = append(x.Tokens, closes), append(x.Labels, Ignore)
	return x
}

func maskedSet(t testing.TB, examples ...Example) *Set {
	t.Helper()
	return buildAs(t, Info{Task: MaskedLM, Vocab: 2000, Blank: hides}, examples)
}

// counts are what became of the tokens of many rows.
type counts struct{ tokens, asked, hidden, replaced, stayed float64 }

// count counts a batch of rows that are all x, and fails where anything is changed that
// is not asked for, or asked for something else.
func (c *counts) count(t *testing.T, b *Batch, x Example) {
	t.Helper()
	for i, label := range b.Labels {
		at := i % b.Len
		if at >= len(x.Tokens) {
			if b.Tokens[i] != 0 || label != Ignore {
				t.Fatalf("padding holds %d and is asked for %d", b.Tokens[i], label)
			}
			continue
		}
		if x.Labels[at] != Ignore {
			c.tokens++
		}
		switch was, is := x.Tokens[at], b.Tokens[i]; {
		case label == Ignore && is == was:
		case label != was || x.Labels[at] == Ignore || is < 0 || is >= 2000:
			t.Fatalf("token %d was %d, is %d and is asked for %d", at, was, is, label)
		case is == hides:
			c.hidden, c.asked = c.hidden+1, c.asked+1
		case is != was:
			c.replaced, c.asked = c.replaced+1, c.asked+1
		default:
			c.stayed, c.asked = c.stayed+1, c.asked+1
		}
	}
}

// near fails unless a share of n is what is expected, within four deviations.
func near(t *testing.T, what string, got, of, want float64) {
	t.Helper()
	if d := math.Abs(got/of - want); d > 4*math.Sqrt(want*(1-want)/of) {
		t.Errorf("%s: a share of %.4f, want %.4f", what, got/of, want)
	}
}

func TestMaskingHasItsShares(t *testing.T) {
	x := maskable(0, 1000, false)
	s := maskedSet(t, x)
	for _, share := range []float64{0.15, 0.4, 1} {
		p := Plan{Seed: 3, Lanes: 2, MicroBatch: 2, Buckets: []int{1024}, MaskShare: share}
		if err := s.Check(p); err != nil {
			t.Fatal(err)
		}
		var b Batch
		var c counts
		for step := range uint64(50) {
			s.Batch(&b, p, step, 1)
			c.count(t, &b, x)
			if asked := len(b.Labels) - countOf(b.Labels, Ignore); b.Predicted() != int64(asked) {
				t.Fatalf("%d predicted, want %d", b.Predicted(), asked)
			}
		}
		near(t, "asked for", c.asked, c.tokens, share)
		near(t, "hidden", c.hidden, c.asked, 0.8+0.1/2000) // chance may draw what hides
		near(t, "replaced", c.replaced, c.asked, 0.1)
		near(t, "stayed", c.stayed, c.asked, 0.1)
	}
}

func countOf(all []int32, v int32) (n int) {
	for _, x := range all {
		if x == v {
			n++
		}
	}
	return n
}

// However a step is cut into lanes and rows, a place of it hides the same tokens, and
// each place others.
func TestMaskingFollowsThePosition(t *testing.T) {
	s := maskedSet(t, maskable(0, 200, false))
	plan := func(lanes, rows int) Plan {
		return Plan{Seed: 3, Lanes: lanes, MicroBatch: rows, Buckets: []int{202}, MaskShare: 0.15}
	}
	var wide, narrow Batch
	seen := map[string]bool{}
	for step := range uint64(3) {
		s.Batch(&wide, plan(1, 6), step, 0)
		for lane := range 3 {
			s.Batch(&narrow, plan(3, 2), step, lane)
			at := 2 * 202 * lane
			if !slices.Equal(wide.Tokens[at:at+2*202], narrow.Tokens) || !slices.Equal(wide.Labels[at:at+2*202], narrow.Labels) {
				t.Errorf("step %d: lane %d hides other tokens than the rows of one lane", step, lane)
			}
		}
		for row := range slices.Chunk(wide.Labels, 202) {
			seen[text(row)] = true
		}
	}
	if len(seen) != 18 {
		t.Errorf("the example comes 18 times, with %d different masks", len(seen))
	}
	s.Batch(&narrow, Plan{Seed: 4, Lanes: 1, MicroBatch: 1, Buckets: []int{202}, MaskShare: 0.15}, 0, 0)
	if seen[text(narrow.Labels)] {
		t.Error("another seed hides the same tokens")
	}
}

// text is a row as the key of a map.
func text(row []int32) string {
	var b strings.Builder
	binary.Write(&b, binary.LittleEndian, row)
	return b.String()
}

// What is hidden of a held-out example follows from the example alone: neither seed,
// nor batches and buckets, nor what else is held out.
func TestHeldOutMasksAreAlwaysTheSame(t *testing.T) {
	held := []Example{maskable(0, 60, true), maskable(100, 50, true), maskable(200, 40, true)}
	masks := func(p Plan, examples ...Example) map[string]string {
		s := maskedSet(t, append(examples, maskable(0, 60, false))...)
		out := map[string]string{}
		for j := range s.EvalBatches(p) {
			var b Batch
			s.EvalBatch(&b, p, j)
			for i := range b.Real {
				row := strings.TrimRight(text(b.Labels[i*b.Len:(i+1)*b.Len]), text([]int32{Ignore}))
				original := s.EvalExample(j*p.MicroBatch + i)
				out[text(original.Tokens)] = row
			}
		}
		return out
	}
	a := masks(Plan{Seed: 1, Lanes: 2, MicroBatch: 2, Buckets: []int{62}, MaskShare: 0.15}, held...)
	b := masks(Plan{Seed: 2, Lanes: 1, MicroBatch: 1, Buckets: []int{42, 64}, MaskShare: 0.15}, held[2], held[0])
	if len(a) != 3 || len(b) != 2 {
		t.Fatalf("%d and %d examples, want 3 and 2", len(a), len(b))
	}
	for example, mask := range b {
		if a[example] != mask || mask == "" {
			t.Errorf("an example is asked for %q among three, and for %q among two", a[example], mask)
		}
	}
}

// However short a text, something is asked of it; what is special never is.
func TestEachRowAsksForSomething(t *testing.T) {
	s := maskedSet(t, maskable(0, 1, false), maskable(5, 2, false), maskable(9, 1, true))
	p := Plan{Seed: 3, Lanes: 1, MicroBatch: 2, Buckets: []int{4}, MaskShare: 0.01}
	var b Batch
	for step := range uint64(100) {
		s.Batch(&b, p, step, 0)
		if b.Predicted() != 2 {
			t.Fatalf("step %d: labels %v; want one a row", step, b.Labels)
		}
	}
	s.EvalBatch(&b, p, 0)
	if want := []int32{Ignore, ordinary + 9, Ignore, Ignore, Ignore, Ignore, Ignore, Ignore}; !slices.Equal(b.Labels, want) {
		t.Errorf("held out: labels %v, want %v", b.Labels, want)
	}
}

// A token that nothing comes before can be asked for too.
func TestTheFirstTokenCounts(t *testing.T) {
	s := maskedSet(t, Example{Tokens: []int32{ordinary}, Labels: []int32{ordinary}})
	var b Batch
	s.Batch(&b, Plan{Lanes: 1, MicroBatch: 1, Buckets: []int{1}, MaskShare: 0.15}, 0, 0)
	if b.Predicted() != 1 || b.Labels[0] != ordinary {
		t.Errorf("%d predicted of labels %v", b.Predicted(), b.Labels)
	}
}

func TestCheckRefusesMasking(t *testing.T) {
	s := maskedSet(t, maskable(0, 3, false))
	for _, tt := range []struct {
		share, dropout float64
		want           string
	}{
		{0, 0, "mlm_probability 0: want more than 0"},
		{1.1, 0, "mlm_probability 1.1"},
		{math.NaN(), 0, "mlm_probability NaN"},
		{0.15, 0.1, "token_dropout 0.1: the shard's task is masked_lm, which hides tokens itself"},
	} {
		err := s.Check(Plan{Lanes: 1, MicroBatch: 1, Buckets: []int{5}, MaskShare: tt.share, TokenDropout: tt.dropout})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("err = %v; want %q", err, tt.want)
		}
	}
}

// What is hidden is part of a job's bits: these hashes must never change.
func TestMasksHaveTheirBits(t *testing.T) {
	s := maskedSet(t, maskable(0, 40, false), maskable(50, 30, false), maskable(90, 40, true))
	p := Plan{Seed: 42, Lanes: 2, MicroBatch: 2, Buckets: []int{42}, MaskShare: 0.15}
	var b Batch
	hash := func() string {
		sum := sha256.New()
		binary.Write(sum, binary.LittleEndian, b.Tokens)
		binary.Write(sum, binary.LittleEndian, b.Labels)
		return hex.EncodeToString(sum.Sum(nil)[:8])
	}
	s.Batch(&b, p, 10_000_000, 1)
	training := hash()
	s.EvalBatch(&b, p, 0)
	if heldOut := hash(); training != "130245e220b824eb" || heldOut != "638d3a2450410a1c" {
		t.Errorf("rows hash to %s, and %s held out", training, heldOut)
	}
}
