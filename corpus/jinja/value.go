package jinja

import (
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A value is nil, bool, int64, float64, string or one of these.
type (
	// undefined is what a name or a field stands for that was never set.
	undefined struct{ what string }
	// list is a list or a tuple.
	list struct {
		items []any
		tuple bool
	}
	// dict keeps the order in which keys were set.
	dict struct {
		keys   []any
		values map[any]any
	}
	// namespace is a mapping that a template may change.
	namespace struct{ *dict }
	// function is what can be called.
	function struct {
		name  string
		fn    func(*state, args) any
		macro func(caller any) *function // of a macro: itself with a caller
	}
)

func newDict() *dict { return &dict{values: map[any]any{}} }

func (d *dict) set(key, value any) {
	if _, ok := d.values[key]; !ok {
		d.keys = append(d.keys, key)
	}
	d.values[key] = value
}

// truth is what a test makes of a value.
func truth(v any) bool {
	switch v := v.(type) {
	case nil, undefined:
		return false
	case bool:
		return v
	case int64:
		return v != 0
	case float64:
		return v != 0
	case string:
		return v != ""
	case *list:
		return len(v.items) > 0
	case *dict:
		return len(v.keys) > 0
	}
	return true
}

// kindOf names the kind of a value for errors.
func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "none"
	case undefined:
		return v.what + " (not defined)"
	case bool:
		return "a boolean"
	case int64:
		return "a whole number"
	case float64:
		return "a number"
	case string:
		return "a string"
	case *list:
		return "a list"
	case *dict:
		return "a mapping"
	case *namespace:
		return "a namespace"
	case *function:
		return v.name + "()"
	}
	return "a loop"
}

// items returns what a loop over a value sees.
func (s *state) items(v any) []any {
	switch v := v.(type) {
	case undefined:
		return nil
	case *list:
		return v.items
	case *dict:
		return v.keys
	case string:
		if !s.spend(len(v)) {
			return nil
		}
		var items []any
		for _, r := range v {
			items = append(items, string(r))
		}
		return items
	}
	s.fail("%s has no items to go through", kindOf(v))
	return nil
}

// length is the number of items, of a string that of its characters.
func (s *state) length(v any) int {
	switch v := v.(type) {
	case string:
		return utf8.RuneCountInString(v)
	case undefined, *list, *dict:
		return len(s.items(v))
	}
	s.fail("%s has no length", kindOf(v))
	return 0
}

// str writes a value as a template does.
func (s *state) str(v any) string {
	switch v := v.(type) {
	case undefined:
		return ""
	case string:
		return v
	}
	return s.repr(v)
}

// repr writes a value as it stands in a list.
func (s *state) repr(v any) string {
	defer s.leave()
	if !s.enter() || !s.spend(1) {
		return ""
	}
	switch v := v.(type) {
	case nil:
		return "None"
	case bool:
		if v {
			return "True"
		}
		return "False"
	case int64:
		return strconv.FormatInt(v, 10)
	case float64:
		return formatFloat(v)
	case string:
		return s.made(quote(v))
	case undefined:
		return "Undefined"
	case *list:
		return s.reprList(v)
	case *dict:
		var parts []string
		for _, key := range v.keys {
			parts = append(parts, s.repr(key)+": "+s.repr(v.values[key]))
		}
		return s.made("{" + strings.Join(parts, ", ") + "}")
	}
	s.fail("%s cannot be written as text", kindOf(v))
	return ""
}

func (s *state) reprList(l *list) string {
	var parts []string
	for _, item := range l.items {
		parts = append(parts, s.repr(item))
	}
	text := strings.Join(parts, ", ")
	switch {
	case !l.tuple:
		return s.made("[" + text + "]")
	case len(parts) == 1:
		return s.made("(" + text + ",)")
	}
	return s.made("(" + text + ")")
}

// formatFloat writes a number as Python does: the shortest digits, an exponent
// below 1e-4 and from 1e16 on.
func formatFloat(f float64) string {
	switch abs := math.Abs(f); {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case math.IsNaN(f):
		return "nan"
	case abs != 0 && (abs < 1e-4 || abs >= 1e16):
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	text := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(text, ".") {
		text += ".0"
	}
	return text
}

// quote writes a string as it stands in a list.
func quote(text string) string {
	mark := byte('\'')
	if strings.Contains(text, "'") && !strings.Contains(text, `"`) {
		mark = '"'
	}
	var b strings.Builder
	b.WriteByte(mark)
	for _, r := range text {
		switch {
		case r == rune(mark) || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case strconv.IsPrint(r):
			b.WriteRune(r)
		case r < 0x100:
			b.WriteString(`\x` + hex(r, 2))
		case r < 0x10000:
			b.WriteString(`\u` + hex(r, 4))
		default:
			b.WriteString(`\U` + hex(r, 8))
		}
	}
	b.WriteByte(mark)
	return b.String()
}

func hex(r rune, digits int) string {
	text := strconv.FormatInt(int64(r), 16)
	return strings.Repeat("0", max(0, digits-len(text))) + text
}
