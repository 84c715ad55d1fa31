package backend_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/edsrzf/mmap-go"
	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"carillon/backend"
	"carillon/backend/backendtest"
	"carillon/endian"
)

// XLA on the CPU computes with numbers that lie in a file, which it cannot write to.
func TestComputesWithMemoryThatIsThere(t *testing.T) {
	be := backendtest.CPU(t)
	if be.Kind() != backend.CPU {
		t.Skipf("only the CPU computes with the host's memory, and the tests run on %s", be.Kind())
	}
	if !be.CanView() {
		t.Fatal("this version of go-xla has other fields: look at view_cgo.go")
	}
	const n = 1 << 16
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i % 7)
	}
	in := mapped(t, endian.View(x))
	shape := shapes.Make(dtypes.Float32, n/64, 64)
	view, err := be.View(in, shape)
	if err != nil {
		t.Fatal(err)
	}
	g := NewGraph(be.Compute(), t.Name())
	if err := g.Compile(AddScalar(Parameter(g, "x", shape), 1)); err != nil {
		t.Fatal(err)
	}
	defer g.Finalize()
	for range 3 {
		out, err := g.Executable().Execute([]compute.Buffer{view}, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]float32, n)
		if err := out[0].ToFlatData(got); err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if got[i] != x[i]+1 {
				t.Fatalf("element %d: %v, want %v", i, got[i], x[i]+1)
			}
		}
		if err := out[0].Finalize(); err != nil {
			t.Fatal(err)
		}
	}
	if err := view.Finalize(); err != nil {
		t.Error(err)
	}
	if _, err := be.View(in[1:], shapes.Make(dtypes.Float32, n-1)); err == nil {
		t.Error("numbers at an odd address are taken")
	}
	if _, err := be.View(in, shapes.Make(dtypes.Float32, n-1)); err == nil {
		t.Error("a shape of another size is taken")
	}
}

// mapped returns numbers in a file that is mapped for reading.
func mapped(t *testing.T, b []byte) []float32 {
	t.Helper()
	path := filepath.Join(t.TempDir(), "numbers")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := mmap.Map(f, mmap.RDONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Unmap() })
	return endian.Numbers[float32](m)
}
