package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// Tensor is what Write writes.
type Tensor struct {
	Name  string
	Shape []int
	Data  []float32
}

// Write writes the tensors as one file in the type t: the same tensors give the
// same bytes, in whatever order they come. Numbers that are not finite, or not
// in t, are errors, before anything is written.
func Write(w io.Writer, t DType, tensors []Tensor) error {
	tensors = slices.SortedFunc(slices.Values(tensors), func(a, b Tensor) int { return cmp.Compare(a.Name, b.Name) })
	if t != F32 && t != F16 && t != BF16 {
		return fmt.Errorf("type %q: want F32, F16 or BF16", t)
	}
	header, err := header(t, tensors)
	if err != nil {
		return err
	}
	for _, x := range tensors {
		if err := checkFloats(t, x.Data); err != nil {
			return fmt.Errorf("tensor %q: %w", x.Name, err)
		}
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	buf := make([]byte, 0, writeElements*sizes[t])
	for _, x := range tensors {
		for part := range slices.Chunk(x.Data, writeElements) {
			if _, err := w.Write(appendFloats(buf, t, part)); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeElements is how many numbers are encoded at once: a model of any size is
// written with this much memory.
const writeElements = 64 << 10

// header makes length, JSON and padding. The tensors are in the order of their names.
func header(t DType, tensors []Tensor) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(`{"__metadata__":{"format":"pt"}`)
	var at int64
	for i, x := range tensors {
		info := Info{Name: x.Name, Shape: x.Shape}
		if info.Size() != len(x.Data) || (i > 0 && tensors[i-1].Name == x.Name) || x.Name == "__metadata__" {
			return nil, fmt.Errorf("tensor %q: a name of its own and %d elements for shape %v are wanted, not %d", x.Name, info.Size(), x.Shape, len(x.Data))
		}
		size := int64(len(x.Data)) * sizes[t]
		name, err := json.Marshal(x.Name)
		if err != nil {
			return nil, err
		}
		shape, err := json.Marshal(append([]int{}, x.Shape...))
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, `,%s:{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}`, name, t, shape, at, at+size)
		at += size
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(b.Len())), b.Bytes()...), nil
}
