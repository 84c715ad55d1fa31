package nn

import (
	"math"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"carillon/backend"
	"carillon/backend/backendtest"
)

// To make a tensor of x changes no bit of it, nor of its gradient, whether dropout is
// on or off.
func TestMaterializeChangesNoBit(t *testing.T) {
	x := []float32{1, -0.1, 1.2e-38, 3.4e38, float32(math.Copysign(0, -1)), 1.0 / 3}
	backendtest.Each(t, func(t *testing.T, be *backend.Backend) {
		exec := MustNewExec(be.Compute(), func(key, x *Node) []*Node {
			y := materialize(NewParams(key.Graph(), nothing{}, nil, key), x)
			return []*Node{y, Gradient(ReduceAllSum(Mul(y, StopGradient(x))), x)[0]}
		})
		for on := range uint32(2) {
			out, err := exec.Call([]uint32{7, 8, on}, x)
			if err != nil {
				t.Fatal(err)
			}
			for i, got := range out {
				if got := tensors.MustCopyFlatData[float32](got); !slices.Equal(bitsOf(got), bitsOf(x)) {
					t.Errorf("dropout %d, output %d: %v of %v", on, i, got, x)
				}
			}
		}
	})
}

func bitsOf(x []float32) (bits []uint32) {
	for _, v := range x {
		bits = append(bits, math.Float32bits(v))
	}
	return bits
}
