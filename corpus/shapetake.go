package corpus

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// taker takes the parts of one example out of its row. It keeps the first error,
// so that who takes need not ask after each part.
type taker struct {
	shape
	row row
	err error
}

// fail keeps the first error.
func (t *taker) fail(format string, args ...any) {
	if t.err == nil {
		t.err = fmt.Errorf(format, args...)
	}
}

// value returns what is in the field of a part.
func (t *taker) value(key string) any {
	name := t.fields[key]
	value, ok := lookUp(t.row.fields, name)
	if !ok {
		kind := t.kind
		if t.guessed {
			kind += " (guessed)"
		}
		t.fail("no field %q, which type %s wants; there are %s", name, kind, list(fieldsOf([]row{t.row}), name))
	} else if value == nil {
		t.fail("field %q is null, want %s", name, t.wanted(key))
	}
	return value
}

// wanted says what the field of a part has to hold.
func (t *taker) wanted(key string) string {
	switch {
	case key == keyMessages:
		return "a list of messages"
	case key == keyLabel && t.kind == TypeRegression:
		return "a number"
	case key == keyLabel:
		return "the name or the number of a class"
	}
	return "a string"
}

// text returns the text of a part, which must not be empty.
func (t *taker) text(key string) string {
	text := t.maybe(key)
	if text == "" {
		t.fail("field %q is empty: nothing to learn", t.fields[key])
	}
	return text
}

// maybe returns the text of a part, which may be empty.
func (t *taker) maybe(key string) string {
	value := t.value(key)
	text, ok := value.(string)
	if !ok {
		t.fail("field %q is %s, want a string", t.fields[key], whatIs(value))
	}
	return text
}

// optional returns the text of a part that a row may lack.
func (t *taker) optional(key string) string {
	name := t.fields[key]
	if value, ok := lookUp(t.row.fields, name); name == "" || !ok || value == nil {
		return ""
	}
	return t.maybe(key)
}

// class returns the name of a class: text as written, numbers in their shortest
// form.
func (t *taker) class() string {
	value := t.value(keyLabel)
	label, ok := className(value)
	number, isNumber := numberOf(value)
	switch {
	case t.err != nil:
	case !ok:
		t.fail("field %q is %s, want %s", t.fields[keyLabel], whatIs(value), t.wanted(keyLabel))
	case label == "":
		t.fail("field %q is empty, want %s", t.fields[keyLabel], t.wanted(keyLabel))
	case isNumber && number != math.Trunc(number) && (t.guessed || !isText(value)):
		t.fail("field %q is %s, a fraction, which no class is: want type: %s if numbers are to be learnt", t.fields[keyLabel], label, TypeRegression)
	}
	return label
}

// number returns the number that is to be learnt.
func (t *taker) number() float64 {
	value := t.value(keyLabel)
	number, ok := numberOf(value)
	if ok && math.Abs(number) <= math.MaxFloat32 {
		return number
	}
	t.fail("field %q is %s, want a number", t.fields[keyLabel], inShort(value))
	return 0
}

// className returns a label as the name of a class.
func className(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case bool:
		return strconv.FormatBool(v), true
	case json.Number:
		if _, err := v.Int64(); err == nil {
			return v.String(), true
		}
		number, _ := numberOf(v)
		return strconv.FormatFloat(number, 'f', -1, 64), true
	}
	return "", false
}

// numberOf returns a label as a number, if it is a finite one.
func numberOf(value any) (float64, bool) {
	text, ok := value.(string)
	if n, isNumber := value.(json.Number); isNumber {
		text, ok = n.String(), true
	}
	number, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	return number, ok && err == nil && !math.IsNaN(number) && !math.IsInf(number, 0)
}

func isText(value any) bool { _, ok := value.(string); return ok }

// inShort writes a value for an error: what it is, and a short one itself.
func inShort(value any) string {
	switch v := value.(type) {
	case string:
		return strconv.Quote(v[:min(len(v), 40)])
	case json.Number:
		return v.String()
	}
	return whatIs(value)
}
