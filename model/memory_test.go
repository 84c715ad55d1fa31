package model

import (
	"path/filepath"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"carillon/backend/backendtest"
	"carillon/job"
)

// By hand: of a [4, 8] batch through two matrices with an exponential between.
func TestWhatLiesInMemoryTogether(t *testing.T) {
	const row, byte4 = 4 * 8, 4
	for name, tt := range map[string]struct {
		build func(x, w *Node) []*Node
		want  int64
		one   int64 // one operation after the other
	}{
		"the result is not counted":        {func(x, w *Node) []*Node { return []*Node{Dot(x, w).MatMul()} }, 0, 0},
		"a factor is":                      {func(x, w *Node) []*Node { return []*Node{Dot(Exp(x), w).MatMul()} }, row, row},
		"between products":                 {func(x, w *Node) []*Node { return []*Node{Dot(Dot(x, w).MatMul(), w).MatMul()} }, row, row},
		"what a factor is of, and it":      {func(x, w *Node) []*Node { return []*Node{Dot(Exp(Dot(x, w).MatMul()), w).MatMul()} }, 2 * row, 2 * row},
		"two in turn":                      {func(x, w *Node) []*Node { return []*Node{Dot(Dot(Dot(x, w).MatMul(), w).MatMul(), w).MatMul()} }, 2 * row, 2 * row},
		"one by one":                       {func(x, w *Node) []*Node { return []*Node{Exp(Neg(Add(x, x)))} }, 0, 2 * row},
		"another shape is the same memory": {func(x, w *Node) []*Node { return []*Node{Exp(Reshape(Dot(x, w).MatMul(), row))} }, row, row},
		"read again later": {func(x, w *Node) []*Node {
			y := Dot(x, w).MatMul()
			return []*Node{Add(Dot(Dot(Dot(y, w).MatMul(), w).MatMul(), w).MatMul(), y)}
		}, 3 * row, 3 * row},
		"nobody asks for it": {func(x, w *Node) []*Node { Dot(Exp(x), w).MatMul(); return []*Node{Neg(x)} }, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewGraph(backendtest.Go(t).Compute(), "by_hand")
			defer g.Finalize()
			x, w := Parameter(g, "x", shapes.Make(dtypes.Float32, 4, 8)), Parameter(g, "w", shapes.Make(dtypes.Float32, 8, 8))
			outputs := tt.build(x, w)
			fused, one := newLiveness(g.Nodes(), outputs, true).peak(), newLiveness(g.Nodes(), outputs, false).peak()
			if fused != tt.want*byte4 || one != tt.one*byte4 {
				t.Errorf("%d bytes, and %d one by one; want %d and %d", fused, one, tt.want*byte4, tt.one*byte4)
			}
		})
	}
}

// What a recipe asks for enters by the graph that it makes.
func TestMemoryFollowsTheRecipe(t *testing.T) {
	for _, dir := range []string{"gpt2", "llama", "t5", "bert-mlm"} {
		t.Run(dir, func(t *testing.T) {
			base := memoryOf(t, dir, nil)
			rows := memoryOf(t, dir, func(s *job.Spec) { s.MicroBatchSize *= 2 })
			again := memoryOf(t, dir, func(s *job.Spec) { s.GradientCheckpointing = true })
			half := memoryOf(t, dir, func(s *job.Spec) { s.BF16 = true })
			full := memoryOf(t, dir, func(s *job.Spec) { s.Method, s.LoRA = "full", nil })
			long := memoryOf(t, dir, func(s *job.Spec) { s.SequenceLen = 1 << 20 })
			switch {
			case base.Activations == 0 || base.OneByOne < base.Activations || base.Frozen == 0 || base.Operations == 0:
				t.Errorf("%+v: something is nothing", base)
			case rows.Activations < 19*base.Activations/10 || rows.Frozen != base.Frozen:
				t.Errorf("twice the rows: %+v after %+v", rows, base)
			case again.Activations >= base.Activations || again.Operations <= base.Operations:
				t.Errorf("blocks computed again: %+v after %+v", again, base)
			case half.Frozen >= base.Frozen:
				t.Errorf("bfloat16: %+v after %+v", half, base)
			case full.Frozen != 0:
				t.Errorf("full: %+v", full)
			case dir != "t5" && long.Activations != 0 || long.Frozen != base.Frozen:
				t.Errorf("longer than the model takes, which of t5 is nothing: %+v", long)
			}
		})
	}
}

// memoryOf inspects a fixture's model for 4 x 16 tokens with method lora, but for a
// change.
func memoryOf(t *testing.T, dir string, change func(*job.Spec)) Memory {
	t.Helper()
	spec := job.Spec{BaseModel: filepath.Join("testdata", dir), Method: "lora", MicroBatchSize: 4, SequenceLen: 16, Seed: 1}
	spec.LoRA = &job.LoRA{R: 2, LoraAlpha: 4, TargetModules: []string{"all-linear"}}
	if change != nil {
		change(&spec)
	}
	f, err := Inspect(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	return f.Memory
}
