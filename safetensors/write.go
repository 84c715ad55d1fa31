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
	header, err := header(t, tensors)
	if err != nil {
		return err
	}
	var data []byte
	for _, x := range tensors {
		if data, err = appendFloats(data, t, x.Data); err != nil {
			return fmt.Errorf("tensor %q: %w", x.Name, err)
		}
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

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
