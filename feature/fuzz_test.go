package feature

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carillon/safetensors"
)

// A classifier's directory comes from outside: whatever is taken can be asked.
func FuzzLoad(f *testing.F) {
	var weights strings.Builder
	err := safetensors.Write(&weights, safetensors.F32, []safetensors.Tensor{
		{Name: "hidden.weight", Shape: []int{2, 3}, Data: make([]float32, 6)}, {Name: "hidden.bias", Shape: []int{2}, Data: make([]float32, 2)},
		{Name: "output.weight", Shape: []int{3, 2}, Data: make([]float32, 6)}, {Name: "output.bias", Shape: []int{3}, Data: make([]float32, 3)},
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"format":1,"classifier":"mlp","labels":["a","b","c"],"pooling":"mean"}`), []byte(weights.String()))
	f.Add([]byte(`{"format":1,"classifier":"logistic","task_type":"regression","labels":null}`), []byte(weights.String()))
	f.Fuzz(func(t *testing.T, facts, weights []byte) {
		dir := t.TempDir()
		for name, data := range map[string][]byte{factsFile: facts, weightsFile: weights} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		c, err := load(dir)
		if err != nil {
			return
		}
		for i, l := range c.layers {
			if len(l.b) < 1 || len(l.w) != l.in*len(l.b) || i > 0 && l.in != len(c.layers[i-1].b) {
				t.Errorf("%s: layer %d maps %d numbers to %d by %d", facts, i, l.in, len(l.b), len(l.w))
			}
		}
	})
}
