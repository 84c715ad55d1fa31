package corpus

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// node is a part of a Parquet schema: a value, a group of named parts, a list or
// a map. Every one but a value stands over a run of columns, and a row's values
// have levels that say where in the tree they stop (definition) and which list
// goes on (repetition).
// (Melnik et al., 2010, "Dremel", section 4; how lists and maps are written:
// https://github.com/apache/parquet-format/blob/master/LogicalTypes.md)
type node struct {
	name               string
	parts              []*node // none: a value
	list, mapping      bool    // by annotation
	optional, repeated bool
	unwrap             bool // the group around a list's element: only its part counts
	def, rep           int  // levels at which it is there, and goes on
	first, last        int  // its columns, from first to before last
	typ                parquet.Type
}

// badValue is a value that cannot be used, in a row that is otherwise whole.
type badValue struct {
	column string
	what   string
}

func (b *badValue) Error() string { return fmt.Sprintf("field %q is %s", b.column, b.what) }

// errLevels is the error of columns that disagree on how a row is nested.
var errLevels = errors.New("broken Parquet: the columns of the row do not fit together")

// newNode reads the schema from a column on.
func newNode(c *parquet.Column) (*node, error) {
	n := &node{
		name: c.Name(), optional: c.Optional() && c.Depth() > 0, repeated: c.Repeated() && c.Depth() > 0,
		def: c.MaxDefinitionLevel(), rep: c.MaxRepetitionLevel(), typ: c.Type(),
	}
	if c.Leaf() {
		n.first, n.last = c.Index(), c.Index()+1
		return n, nil
	}
	for _, part := range c.Columns() {
		p, err := newNode(part)
		if err != nil {
			return nil, err
		}
		n.parts = append(n.parts, p)
	}
	if len(n.parts) == 0 {
		return nil, fmt.Errorf("broken Parquet: the group %q has no columns", n.name)
	}
	n.first, n.last = n.parts[0].first, n.parts[len(n.parts)-1].last
	n.annotate()
	return n, nil
}

// annotate finds out how a list or a map is written.
func (n *node) annotate() {
	inner := n.parts[0]
	if len(n.parts) != 1 || !inner.repeated {
		return
	}
	switch logical := n.typ.LogicalType(); {
	case logical == nil:
	case isA[*format.ListType](logical):
		n.list = true
		inner.unwrap = len(inner.parts) == 1 && inner.name != "array" && inner.name != n.name+"_tuple"
	case isA[*format.MapType](logical):
		n.mapping = len(inner.parts) == 2
	}
}

func isA[T format.LogicalTypeValue](t *format.LogicalType) bool {
	_, ok := t.Value.(T)
	return ok
}

// record puts a row together. The node is the root.
func (n *node) record(values parquet.Row) (map[string]any, error) {
	a := assembler{columns: make([][]parquet.Value, n.last)}
	for from := 0; from < len(values); {
		column, to := values[from].Column(), from+1
		for to < len(values) && values[to].Column() == column {
			to++
		}
		if column < 0 || column >= n.last || a.columns[column] != nil {
			return nil, errLevels
		}
		a.columns[column] = values[from:to]
		from = to
	}
	fields, err := a.group(n)
	for _, rest := range a.columns {
		if err == nil && len(rest) > 0 {
			err = errLevels
		}
	}
	return fields, err
}

// assembler holds what is left of each column of one row.
type assembler struct {
	columns [][]parquet.Value
}

// value takes a node's value: nil or a list's elements where it may be away or
// come several times.
func (a *assembler) value(n *node) (any, error) {
	if !n.optional && !n.repeated {
		return a.present(n)
	}
	head, err := a.head(n)
	switch {
	case err != nil:
		return nil, err
	case head.DefinitionLevel() >= n.def && n.repeated:
		return a.elements(n)
	case head.DefinitionLevel() >= n.def:
		return a.present(n)
	case n.repeated:
		return []any{}, a.skip(n)
	}
	return nil, a.skip(n)
}

func (a *assembler) elements(n *node) (any, error) {
	var list []any
	for {
		v, err := a.present(n)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
		if rest := a.columns[n.first]; len(rest) == 0 || rest[0].RepetitionLevel() != n.rep {
			return list, nil
		}
	}
}

// present takes the value of a node that is there.
func (a *assembler) present(n *node) (any, error) {
	switch {
	case len(n.parts) == 0:
		head, err := a.head(n)
		if err != nil {
			return nil, err
		}
		a.columns[n.first] = a.columns[n.first][1:]
		return n.scalar(head)
	case n.list || n.unwrap:
		return a.value(n.parts[0])
	case n.mapping:
		return a.mapping(n)
	}
	return a.group(n)
}

func (a *assembler) group(n *node) (map[string]any, error) {
	fields := make(map[string]any, len(n.parts))
	for _, part := range n.parts {
		v, err := a.value(part)
		if err != nil {
			return nil, err
		}
		fields[part.name] = v
	}
	return fields, nil
}

// mapping makes one object of a map's pairs of key and value.
func (a *assembler) mapping(n *node) (any, error) {
	pairs, err := a.value(n.parts[0])
	if err != nil {
		return nil, err
	}
	fields := map[string]any{}
	key, value := n.parts[0].parts[0].name, n.parts[0].parts[1].name
	for _, p := range pairs.([]any) {
		pair := p.(map[string]any)
		fields[fmt.Sprint(pair[key])] = pair[value]
	}
	return fields, nil
}

func (a *assembler) head(n *node) (parquet.Value, error) {
	if len(a.columns[n.first]) == 0 {
		return parquet.Value{}, errLevels
	}
	return a.columns[n.first][0], nil
}

// skip takes the one value that each column has for what is not there.
func (a *assembler) skip(n *node) error {
	for i := n.first; i < n.last; i++ {
		if len(a.columns[i]) == 0 {
			return errLevels
		}
		a.columns[i] = a.columns[i][1:]
	}
	return nil
}

// scalar returns a value as JSON would have it: numbers as they are written,
// bytes that are no text as []byte.
func (n *node) scalar(v parquet.Value) (any, error) {
	if v.IsNull() {
		return nil, nil
	}
	logical := n.typ.LogicalType()
	if logical != nil {
		switch t := logical.Value.(type) {
		case *format.DecimalType:
			return decimal(v, int(t.Scale)), nil
		case *format.IntType:
			if !t.IsSigned {
				return json.Number(unsigned(v)), nil
			}
		case *format.UUIDType:
			return fmt.Sprintf("%x", v.Bytes()), nil
		}
	}
	switch v.Kind() {
	case parquet.Boolean:
		return v.Boolean(), nil
	case parquet.Int32:
		return json.Number(strconv.Itoa(int(v.Int32()))), nil
	case parquet.Int64:
		return json.Number(strconv.FormatInt(v.Int64(), 10)), nil
	case parquet.Float:
		return n.float(float64(v.Float()), 32)
	case parquet.Double:
		return n.float(v.Double(), 64)
	case parquet.ByteArray:
		return n.text(v.ByteArray(), logical != nil)
	}
	return append([]byte(nil), v.Bytes()...), nil
}

func (n *node) float(x float64, bits int) (any, error) {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil, &badValue{n.name, fmt.Sprint(x) + ", want a number"}
	}
	return json.Number(strconv.FormatFloat(x, 'g', -1, bits)), nil
}

// text returns a string; bytes that no annotation calls a text may be none.
func (n *node) text(data []byte, annotated bool) (any, error) {
	switch {
	case utf8.Valid(data):
		return string(data), nil
	case annotated:
		return nil, &badValue{n.name, "not UTF-8"}
	}
	return append([]byte(nil), data...), nil
}

func unsigned(v parquet.Value) string {
	if v.Kind() == parquet.Int32 {
		return strconv.FormatUint(uint64(v.Uint32()), 10)
	}
	return strconv.FormatUint(v.Uint64(), 10)
}

// decimal writes a whole number of 10^-scale.
func decimal(v parquet.Value, scale int) json.Number {
	var x big.Int
	switch v.Kind() {
	case parquet.Int32:
		x.SetInt64(int64(v.Int32()))
	case parquet.Int64:
		x.SetInt64(v.Int64())
	default: // big-endian, in two's complement
		data := v.Bytes()
		x.SetBytes(data)
		if len(data) > 0 && data[0] >= 0x80 {
			x.Sub(&x, new(big.Int).Lsh(big.NewInt(1), uint(len(data))*8))
		}
	}
	digits := new(big.Int).Abs(&x).String()
	if scale > 0 {
		digits = strings.Repeat("0", max(scale+1-len(digits), 0)) + digits
		digits = digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
	}
	if x.Sign() < 0 {
		digits = "-" + digits
	}
	return json.Number(digits)
}
