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

// WriteEach writes tensors of the types that their infos say as one file, one after
// the other: value fills dst with the numbers of one when its turn has come, so that
// only one is in memory. Numbers that are not finite, or not in the type, are errors.
func WriteEach(w io.Writer, infos []Info, value func(t Info, dst []float32) error) error {
	infos = slices.SortedFunc(slices.Values(infos), func(a, b Info) int {
		return cmp.Or(cmp.Compare(sizes[b.DType], sizes[a.DType]), cmp.Compare(a.Name, b.Name))
	})
	header, err := headerOf(infos)
	if err != nil {
		return err
	}
	if _, err := w.Write(header); err != nil {
		return err
	}
	var data []float32
	var buf []byte
	for _, t := range infos {
		data = slices.Grow(data[:0], t.Size())[:t.Size()]
		if err := value(t, data); err != nil {
			return err
		}
		if err := checkFloats(t.DType, data); err != nil {
			return fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		for part := range slices.Chunk(data, writeElements) {
			buf = appendFloats(buf[:0], t.DType, part)
			if _, err := w.Write(buf); err != nil {
				return err
			}
		}
	}
	return nil
}

// headerOf makes length, JSON and padding for tensors in the order of the file.
func headerOf(infos []Info) ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(`{"__metadata__":{"format":"pt"}`)
	var at int64
	for _, t := range infos {
		if !t.DType.Float() {
			return nil, fmt.Errorf("tensor %q: type %q; want F32, F16 or BF16", t.Name, t.DType)
		}
		name, err := json.Marshal(t.Name)
		if err != nil {
			return nil, err
		}
		shape, err := json.Marshal(append([]int{}, t.Shape...))
		if err != nil {
			return nil, err
		}
		size := int64(t.Size()) * sizes[t.DType]
		fmt.Fprintf(&b, `,%s:{"dtype":"%s","shape":%s,"data_offsets":[%d,%d]}`, name, t.DType, shape, at, at+size)
		at += size
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	return append(binary.LittleEndian.AppendUint64(nil, uint64(b.Len())), b.Bytes()...), nil
}
