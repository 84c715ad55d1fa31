package jinja

import (
	"strings"
	"time"
)

// today is the day that strftime_now tells, whatever the day: the one that
// Llama 3.2's template falls back to.
var today = time.Date(2024, time.July, 26, 0, 0, 0, 0, time.UTC)

// globals are the functions that every template has.
var globals = map[string]any{
	"namespace":       &function{name: "namespace", fn: newNamespace},
	"dict":            &function{name: "dict", fn: makeDict},
	"range":           &function{name: "range", fn: makeRange},
	"raise_exception": &function{name: "raise_exception", fn: raise},
	"strftime_now":    &function{name: "strftime_now", fn: strftimeNow},
}

func newNamespace(s *state, a args) any { return &namespace{makeDict(s, a).(*dict)} }

// makeDict is dict(mapping, name=value).
func makeDict(s *state, a args) any {
	d := newDict()
	for _, v := range a.plain {
		from, ok := v.(*dict)
		if !ok || len(a.plain) > 1 {
			s.fail("dict() and namespace() take one mapping and fields by name")
			return d
		}
		for _, key := range from.keys {
			d.set(key, from.values[key])
		}
	}
	for _, n := range a.named {
		d.set(n.Key, n.Value)
	}
	s.spend(len(d.keys))
	return d
}

func makeRange(s *state, a args) any {
	g := a.bind(s, "range", "start", "stop", "step")
	from, to, step := int64(0), s.number("range", g[0], 0), s.number("range", g[2], 1)
	if g[1] != (missing{}) {
		from, to = to, s.number("range", g[1], 0)
	}
	if step == 0 {
		s.fail("range() with a step of 0")
		return nil
	}
	l := &list{}
	for i := from; (step > 0 && i < to || step < 0 && i > to) && s.spend(1); i += step {
		l.items = append(l.items, i)
	}
	return l
}

// raise ends the rendering: the template refuses what it is given.
func raise(s *state, a args) any {
	g := a.bind(s, "raise_exception", "message")
	s.fail("the template refuses: %s", s.str(g[0]))
	return nil
}

// strftime are the parts of a date that templates write, as package time lays
// them out.
var strftime = map[byte]string{
	'a': "Mon", 'A': "Monday", 'b': "Jan", 'B': "January", 'd': "02", 'm': "01", 'y': "06", 'Y': "2006", 'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM", 'j': "002",
}

func strftimeNow(s *state, a args) any {
	format := s.given("strftime_now", a.bind(s, "strftime_now", "format")[0])
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' || i+1 == len(format) {
			b.WriteByte(format[i])
			continue
		}
		i++
		layout, ok := strftime[format[i]]
		switch {
		case ok:
			b.WriteString(today.Format(layout))
		case format[i] == '%':
			b.WriteByte('%')
		default:
			s.fail("strftime_now: %%%c is not known here", format[i])
		}
	}
	return b.String()
}
