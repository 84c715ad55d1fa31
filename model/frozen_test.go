package model

import (
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"

	"carillon/backend/backendtest"
	"carillon/model/nn"
)

// Of what is frozen no gradient is computed: a program has no product, and no sum of
// rows, of the shape of a frozen matrix. With full tuning, which needs them, there are.
func TestNoGradientOfWhatIsFrozen(t *testing.T) {
	for _, c := range []refCase{
		lora("gpt2", "lora", on("c_attn")), prompt("gpt2"), prefix("gpt2"), bottleneck("gpt2", "seq_bn"), full("gpt2", "full"),
		lora("bert-cls", "lora", on("query", "value")), prompt("bert-cls"), prefix("bert-cls"), full("bert-cls", "base"),
		lora("t5", "lora", on("q", "v")), prompt("t5"), prefix("t5"), full("t5", "base"),
	} {
		t.Run(c.model+"/"+c.spec.Method, func(t *testing.T) {
			s, err := openModel(t, backendtest.Go(t), c.model).Train(c.spec)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			matrices := matrixShapes(s.model.base)
			if c.spec.Method == "full" {
				if s.countMade(t, matrices) == 0 {
					t.Error("no gradient of a matrix is found in full tuning")
				}
				return
			}
			trained := matrixShapes(s.decls) // products of these shapes are wanted
			frozen := slices.DeleteFunc(matrices, func(m [2]int) bool { return slices.Contains(trained, m) })
			if n := s.countMade(t, frozen); n > 0 || len(frozen) < 6 {
				t.Errorf("%d gradients of frozen matrices of %d shapes are computed", n, len(frozen))
			}
		})
	}
}

// matrixShapes returns the shapes of the matrices among parameters, and of these turned.
func matrixShapes(decls []nn.Decl) (shapes [][2]int) {
	for _, d := range decls {
		if len(d.Shape) == 2 {
			shapes = append(shapes, [2]int{d.Shape[0], d.Shape[1]}, [2]int{d.Shape[1], d.Shape[0]})
		}
	}
	return shapes
}

// countMade counts the products and sums of rows of the given shapes in the program of
// a gradient. Activations have an axis more.
func (s *Session) countMade(t *testing.T, shapes [][2]int) (n int) {
	t.Helper()
	g := NewGraph(s.model.compute, t.Name())
	defer g.Finalize()
	seen := map[*Node]bool{}
	var visit func(x *Node)
	visit = func(x *Node) {
		if seen[x] {
			return
		}
		seen[x] = true
		made := x.Type() == NodeTypeDotGeneral || x.Type() == NodeTypeScatterSum
		if made && x.Rank() == 2 && slices.Contains(shapes, [2]int(x.Shape().Dimensions)) {
			n++
		}
		for _, in := range x.Inputs() {
			visit(in)
		}
	}
	for _, out := range s.build(g, s.key(gradients, Input{Rows: 3, Len: 11, TargetLen: 7}), &program{}) {
		visit(out)
	}
	return n
}
