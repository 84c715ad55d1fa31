package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// DType is how the elements of a tensor are stored.
type DType string

// The types that Float32 reads and Write writes. Others may be in a file; their
// sizes are checked too.
const (
	F32  DType = "F32"
	F16  DType = "F16"
	BF16 DType = "BF16"
)

// Float reports whether Float32 reads the type.
func (t DType) Float() bool { return t == F32 || t == F16 || t == BF16 }

// sizes are the bytes of an element.
var sizes = map[DType]int64{
	"F64": 8, F32: 4, F16: 2, BF16: 2, "F8_E4M3": 1, "F8_E5M2": 1,
	"I64": 8, "I32": 4, "I16": 2, "I8": 1, "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}

// Info is a tensor of a file.
type Info struct {
	Name  string
	DType DType
	Shape []int

	data []byte // its bytes in the mapped file
}

// Size returns the number of elements.
func (t Info) Size() int {
	n := 1
	for _, d := range t.Shape {
		n *= d
	}
	return n
}

// Bytes returns how many bytes it takes in a file.
func (t Info) Bytes() int64 { return int64(t.Size()) * sizes[t.DType] }

// maxHeader is the format's own limit.
const maxHeader = 100_000_000

// entry is a tensor in the header.
type entry struct {
	DType   DType    `json:"dtype"`
	Shape   []int64  `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// parse checks a file's bytes and returns its tensors by name. They point into b.
func parse(b []byte) ([]Info, error) {
	if len(b) < 8 {
		return nil, fmt.Errorf("%d bytes are too few for a safetensors file", len(b))
	}
	n := binary.LittleEndian.Uint64(b)
	if n > maxHeader || n > uint64(len(b)-8) {
		return nil, fmt.Errorf("the header should have %d bytes, but the file has only %d more: it is cut short or no safetensors file", n, len(b)-8)
	}
	entries, err := parseHeader(b[8 : 8+n])
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	data := b[8+n:]
	tensors := make([]Info, 0, len(entries))
	for name, e := range entries {
		t, err := e.locate(name, data)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		tensors = append(tensors, t)
	}
	if err := covered(entries, int64(len(data))); err != nil {
		return nil, err
	}
	slices.SortFunc(tensors, func(a, b Info) int { return cmp.Compare(a.Name, b.Name) })
	return tensors, nil
}

// parseHeader reads the JSON object; a name that stands twice is an error, which
// a plain map would hide.
func parseHeader(b []byte) (map[string]entry, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.Join(errors.New("want a JSON object"), err)
	}
	entries := map[string]entry{}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		name := key.(string) // an object's keys are strings, or Token errs
		if name == "__metadata__" {
			var meta map[string]string
			if err := d.Decode(&meta); err != nil {
				return nil, fmt.Errorf("__metadata__: %w", err)
			}
			continue
		}
		var e entry
		if err := d.Decode(&e); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		if _, twice := entries[name]; twice {
			return nil, fmt.Errorf("tensor %q stands there twice", name)
		}
		entries[name] = e
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON object")
	}
	return entries, nil
}

// locate checks a tensor's type, shape and offsets, and cuts it out of data.
func (e entry) locate(name string, data []byte) (Info, error) {
	size, ok := sizes[e.DType]
	if !ok {
		return Info{}, fmt.Errorf("dtype %q is not known", e.DType)
	}
	t := Info{Name: name, DType: e.DType, Shape: make([]int, len(e.Shape))}
	for i, d := range e.Shape {
		if d < 0 || (d > 0 && size > math.MaxInt64/d/2) {
			return Info{}, fmt.Errorf("shape %v is no shape", e.Shape)
		}
		t.Shape[i] = int(d)
		size *= d
	}
	from, to := e.Offsets[0], e.Offsets[1]
	if from < 0 || to < from || to > int64(len(data)) {
		return Info{}, fmt.Errorf("data_offsets [%d, %d] lie outside the %d bytes of data: the file is cut short or damaged", from, to, len(data))
	}
	if to-from != size {
		return Info{}, fmt.Errorf("data_offsets [%d, %d] hold %d bytes, but %s%v needs %d", from, to, to-from, e.DType, e.Shape, size)
	}
	t.data = data[from:to:to]
	return t, nil
}

// covered checks that the tensors lie end to end and fill the data.
func covered(entries map[string]entry, size int64) error {
	type span struct {
		name     string
		from, to int64
	}
	var spans []span
	for name, e := range entries {
		spans = append(spans, span{name, e.Offsets[0], e.Offsets[1]})
	}
	slices.SortFunc(spans, func(a, b span) int {
		return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.to, b.to), cmp.Compare(a.name, b.name))
	})
	var at int64
	for _, s := range spans {
		if s.from != at {
			return fmt.Errorf("tensor %q begins at byte %d of the data, want %d: tensors overlap or leave a gap", s.name, s.from, at)
		}
		at = s.to
	}
	if at != size {
		return fmt.Errorf("the tensors fill %d bytes of data, but there are %d", at, size)
	}
	return nil
}
