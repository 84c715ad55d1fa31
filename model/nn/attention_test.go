package nn

import (
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"carillon/backend/backendtest"
)

// Queries that share keys and values get what they would of copies of their own.
func TestSharedKeysAreCopiesForEachQuery(t *testing.T) {
	exec := MustNewExec(backendtest.Go(t).Compute(), func(g *Graph) []*Node {
		wave := func(heads, t int) *Node {
			return Sin(MulScalar(IotaFull(g, shapes.Make(dtypes.Float32, 2, heads, t, 8)), 0.7))
		}
		q, k, v := wave(6, 5), wave(2, 7), Cos(wave(2, 7))
		bias := Slice(wave(1, 5), AxisRange(), AxisRange(), AxisRange(), AxisRange(0, 7)) // [2, 1, 5, 7]
		copies := func(x *Node) *Node {                                                   // heads 0 0 0 1 1 1
			return Reshape(BroadcastToDims(ExpandDims(x, 2), 2, 2, 3, 7, 8), 2, 6, 7, 8)
		}
		return []*Node{Attention(q, k, v, bias, 0.3), Attention(q, copies(k), copies(v), bias, 0.3)}
	})
	out := exec.MustCall()
	a, b := tensors.MustCopyFlatData[float32](out[0]), tensors.MustCopyFlatData[float32](out[1])
	for i := range a {
		if d := a[i] - b[i]; d > 1e-6 || d < -1e-6 || a[i] == 0 {
			t.Fatalf("element %d is %v, with copies %v", i, a[i], b[i])
		}
	}
}

// A window hides what lies further back, keys in front counted with the tokens.
func TestWindows(t *testing.T) {
	const length, lead, window = 5, 2, 3
	out, err := CallOnce(backendtest.Go(t).Compute(), func(mask *Node) *Node {
		return WindowMask(Sequence{Mask: mask}, lead, window)
	}, [][]int32{{1, 1, 1, 1, 1}, {0, 1, 1, 1, 1}})
	if err != nil {
		t.Fatal(err)
	}
	bias := tensors.MustCopyFlatData[float32](out)
	for row, want := range [][]string{
		{"xxx....", ".xxx...", "..xxx..", "...xxx.", "....xxx"},
		{"xx.....", ".x.x...", "...xx..", "...xxx.", "....xxx"}, // the first token is padding
	} {
		for i, line := range want {
			seen := []byte{}
			for _, b := range bias[(row*length+i)*(lead+length):][:lead+length] {
				seen = append(seen, map[bool]byte{true: 'x', false: '.'}[b == 0])
			}
			if !slices.Equal(seen, []byte(line)) {
				t.Errorf("row %d, token %d sees %s, want %s", row, i, seen, line)
			}
		}
	}
}
