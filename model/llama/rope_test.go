package llama

import (
	"math"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"carillon/backend"
	"carillon/backend/backendtest"
)

// Cosines and sines are right to the last bits, however far from the start.
func TestAnglesOfFarPositions(t *testing.T) {
	m, err := parse(t, fields{"max_position_embeddings": 131072, "head_dim": 64, "rope_theta": 500000.0})
	if err != nil {
		t.Fatal(err)
	}
	positions := [][]int32{{0, 1, 511, 512, 513, 4095}, {131071, 99999, 131072, 200000, 262143, 7}}
	backendtest.Each(t, func(t *testing.T, be *backend.Backend) {
		exec := MustNewExec(be.Compute(), func(at *Node) []*Node {
			cos, sin := m.angles(at)
			return []*Node{cos, sin}
		})
		out, err := exec.Call(positions)
		if err != nil {
			t.Fatal(err)
		}
		cos, sin := tensors.MustCopyFlatData[float32](out[0]), tensors.MustCopyFlatData[float32](out[1])
		for i := range cos {
			at, f := positions[i/(6*32)][i/32%6], m.frequencies[i%32]
			s, c := math.Sincos(float64(at) * f)
			if math.Abs(float64(cos[i])-c) > 2e-7 || math.Abs(float64(sin[i])-s) > 2e-7 {
				t.Fatalf("position %d, angle %d: cosine %v and sine %v, want %v and %v", at, i%32, cos[i], sin[i], c, s)
			}
		}
	})
}
