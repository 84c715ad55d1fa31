package methods

import (
	"fmt"
	"math"
	"strings"

	"carillon/safetensors"
)

// Merger is a method whose effect can be made part of the model's own weights, so
// that the model alone computes what it did with the method.
type Merger interface {
	// Merge changes the values of a parameter of the base model by what was trained,
	// which it finds by key, and returns the keys that it has used. inOut: the base's
	// linear maps are stored [in, out].
	Merge(w safetensors.Tensor, inOut bool, trained map[string]safetensors.Tensor) (used []string, err error)
}

// Merge adds a module's correction to its weights, W + s·B·A, and gives the rows the
// lengths that DoRA has trained.
func (l LoRA) Merge(w safetensors.Tensor, inOut bool, trained map[string]safetensors.Tensor) (used []string, err error) {
	path, ok := strings.CutSuffix(w.Name, ".weight")
	key := peftPrefix + path
	a, b := trained[key+".lora_A.weight"], trained[key+".lora_B.weight"]
	if e := trained[key+".lora_embedding_A"]; e.Name != "" {
		a, b, inOut = e, trained[key+".lora_embedding_B"], true
	}
	if !ok || a.Name == "" {
		return nil, nil
	}
	if err := fitsWeight(w, a, b, inOut); err != nil {
		return nil, err
	}
	sum := correct(w, a, b, l.Scale(path), inOut)
	used = []string{a.Name, b.Name}
	if m := trained[key+endMagnitude]; m.Name != "" {
		if len(m.Data) != b.Shape[0] {
			return nil, fmt.Errorf("tensor %s has shape %v; want [%d]", m.Name, m.Shape, b.Shape[0])
		}
		direct(sum, m.Data, a.Shape[1], inOut)
		used = append(used, m.Name)
	}
	for i, x := range sum {
		w.Data[i] = float32(x)
	}
	return used, nil
}

// fitsWeight says why a correction is of another weight.
func fitsWeight(w, a, b safetensors.Tensor, inOut bool) error {
	fits := len(w.Shape) == 2 && len(a.Shape) == 2 && len(b.Shape) == 2 && a.Shape[0] == b.Shape[1]
	if fits {
		out, in := w.Shape[0], w.Shape[1]
		if inOut {
			out, in = in, out
		}
		fits = a.Shape[1] == in && b.Shape[0] == out
	}
	if !fits {
		return fmt.Errorf("tensors %s %v and %s %v correct no weight of shape %v: the adapter is of another base model", a.Name, a.Shape, b.Name, b.Shape, w.Shape)
	}
	return nil
}

// correct returns W + s·B·A in W's layout. Products are rounded each, so that all
// machines have the same bits.
func correct(w, a, b safetensors.Tensor, s float64, inOut bool) []float64 {
	r, in, out := a.Shape[0], a.Shape[1], b.Shape[0]
	sum := make([]float64, len(w.Data))
	for i, x := range w.Data {
		sum[i] = float64(x)
	}
	row := make([]float64, in)
	for o := range out {
		clear(row)
		for k := range r {
			factor := s * float64(b.Data[o*r+k])
			for i, x := range a.Data[k*in:][:in] {
				row[i] += float64(factor * float64(x))
			}
		}
		for i, x := range row {
			sum[place(o, i, in, out, inOut)] += x
		}
	}
	return sum
}

// place is where W's element of an output and an input lies.
func place(o, i, in, out int, inOut bool) int {
	if inOut {
		return i*out + o
	}
	return o*in + i
}

// direct gives each output's row of w the length that m says.
func direct(w []float64, m []float32, in int, inOut bool) {
	for o, length := range m {
		squares := 0.0
		for i := range in {
			x := w[place(o, i, in, len(m), inOut)]
			squares += float64(x * x)
		}
		factor := float64(length) / math.Sqrt(squares)
		for i := range in {
			w[place(o, i, in, len(m), inOut)] *= factor
		}
	}
}

// Merge scales a module's weights by output, and its bias, or by input.
func (m IA3) Merge(w safetensors.Tensor, inOut bool, trained map[string]safetensors.Tensor) (used []string, err error) {
	path, isBias := strings.CutSuffix(w.Name, ".bias")
	path, _ = strings.CutSuffix(path, ".weight")
	l := trained[peftPrefix+path+".ia3_l"]
	if l.Name == "" || path == w.Name {
		return nil, nil
	}
	byInput := m.feedForward.has(path)
	if isBias {
		inOut = true // its one axis is the outputs
		if byInput {
			return nil, nil
		}
	}
	n := len(l.Data)
	if axis := len(w.Shape) - 1; n == 0 || byInput == inOut && w.Shape[0] != n || byInput != inOut && w.Shape[axis] != n {
		return nil, fmt.Errorf("tensor %s %v scales no parameter of shape %v: the adapter is of another base model", l.Name, l.Shape, w.Shape)
	}
	for i := range w.Data {
		at := i % n // the last axis
		if byInput == inOut {
			at = i / (len(w.Data) / n)
		}
		w.Data[i] = float32(float64(w.Data[i]) * float64(l.Data[at]))
	}
	return []string{l.Name}, nil
}
