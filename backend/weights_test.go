package backend_test

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"carillon/backend"
	"carillon/backend/backendtest"
)

// XNNPACK, within XLA's CPU plugin, keeps the right side of a product by its
// address, and goes on with it when other numbers have come to stand there.
func TestAProductSeesNumbersThatTakeTheSamePlace(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, be *backend.Backend) {
		const rows, cols = 128, 512
		x, w := shapes.Make(dtypes.Float32, rows, cols), shapes.Make(dtypes.Float32, cols, cols)
		g := NewGraph(be.Compute(), t.Name())
		if err := g.Compile(MatMul(Parameter(g, "x", x), Parameter(g, "w", w))); err != nil {
			t.Fatal(err)
		}
		ones := upload(t, be, x, 1)
		for i := range 20 {
			want := float32(i + 1)
			weights := upload(t, be, w, want)
			out, err := g.Executable().Execute([]compute.Buffer{ones, weights}, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			got := make([]float32, rows*cols)
			if err := out[0].ToFlatData(got); err != nil {
				t.Fatal(err)
			}
			if got[0] != cols*want {
				t.Fatalf("the product with weights of %v is %v, want %v", want, got[0], cols*want)
			}
			for _, b := range []compute.Buffer{weights, out[0]} { // their places are free for the next
				if err := b.Finalize(); err != nil {
					t.Fatal(err)
				}
			}
		}
	})
}

// upload moves a tensor of one number to the device.
func upload(t *testing.T, be *backend.Backend, shape shapes.Shape, value float32) compute.Buffer {
	t.Helper()
	flat := make([]float32, shape.Size())
	for i := range flat {
		flat[i] = value
	}
	b, err := be.Compute().BufferFromFlatData(0, flat, shape)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
