package jinja

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf16"
)

// jsonWriter writes values as Python's json.dumps does.
type jsonWriter struct {
	s          *state
	b          strings.Builder
	indent     string // "": all in one line
	pretty     bool
	comma, sep string
	sortKeys   bool
	ascii      bool
}

// toJSON is tojson as chat templates have it: no escapes for HTML, and what is
// not ASCII stays.
func toJSON(s *state, v any, a args) any {
	g := a.bind(s, "tojson", "ensure_ascii", "indent", "separators", "sort_keys")
	w := &jsonWriter{s: s, comma: ", ", sep: ": "}
	w.ascii = g[0] != (missing{}) && truth(g[0])
	w.sortKeys = g[3] != (missing{}) && truth(g[3])
	if g[1] != nil && g[1] != (missing{}) {
		w.indent, w.pretty, w.comma = s.indentBy("tojson", g[1], ""), true, ","
	}
	if l, ok := g[2].(*list); ok && len(l.items) == 2 {
		w.comma, w.sep = s.given("tojson", l.items[0]), s.given("tojson", l.items[1])
	}
	w.write(v, 0)
	return s.made(w.b.String())
}

func (w *jsonWriter) write(v any, depth int) {
	defer w.s.leave()
	if !w.s.enter() || !w.s.spend(1) {
		return
	}
	if w.b.Len() > maxText {
		w.s.fail("a text of more than %d bytes", maxText)
		return
	}
	switch v := v.(type) {
	case nil:
		w.b.WriteString("null")
	case bool:
		fmt.Fprint(&w.b, v)
	case int64:
		fmt.Fprint(&w.b, v)
	case float64:
		w.b.WriteString(jsonFloat(v))
	case string:
		w.string(v)
	case *list:
		w.group("[", "]", len(v.items), depth, func(i int) { w.write(v.items[i], depth+1) })
	case *dict:
		w.dict(v, depth)
	default:
		w.s.fail("tojson: %s has no JSON", kindOf(v))
	}
}

func (w *jsonWriter) dict(d *dict, depth int) {
	keys := d.keys
	if w.sortKeys {
		keys = w.s.sortItems(keys, false, func(v any) any { return v })
	}
	w.group("{", "}", len(keys), depth, func(i int) {
		name, ok := keys[i].(string)
		if !ok {
			w.s.fail("tojson: %s as the key of a mapping, want a string", kindOf(keys[i]))
		}
		w.string(name)
		w.b.WriteString(w.sep)
		w.write(d.values[keys[i]], depth+1)
	})
}

// group writes n items between two brackets, each on a line of its own if there
// is an indentation.
func (w *jsonWriter) group(open, end string, n, depth int, item func(int)) {
	w.b.WriteString(open)
	for i := range n {
		if i > 0 {
			w.b.WriteString(w.comma)
		}
		w.line(depth + 1)
		item(i)
	}
	if n > 0 {
		w.line(depth)
	}
	w.b.WriteString(end)
}

func (w *jsonWriter) line(depth int) {
	if w.pretty {
		w.b.WriteString("\n" + strings.Repeat(w.indent, depth))
	}
}

func (w *jsonWriter) string(text string) {
	w.s.room(len(text))
	w.b.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			w.b.WriteByte('\\')
			w.b.WriteRune(r)
		case r < 0x20:
			w.b.WriteString(jsonControl(r))
		case r < 0x7f || !w.ascii:
			w.b.WriteRune(r)
		case r < 0x10000:
			w.b.WriteString(`\u` + hex(r, 4))
		default:
			high, low := utf16.EncodeRune(r)
			w.b.WriteString(`\u` + hex(high, 4) + `\u` + hex(low, 4))
		}
	}
	w.b.WriteByte('"')
}

func jsonControl(r rune) string {
	if i := strings.IndexRune("\b\f\n\r\t", r); i >= 0 {
		return `\` + "bfnrt"[i:i+1]
	}
	return `\u` + hex(r, 4)
}

func jsonFloat(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case math.IsNaN(f):
		return "NaN"
	}
	return formatFloat(f)
}
