package jinja

import (
	"slices"
	"strings"
	"unicode"
)

// stringMethod is a method of strings: what it is given is bound to its
// parameters already.
type stringMethod struct {
	params []string
	call   func(s *state, text string, a []any) any
}

var stringMethods = map[string]stringMethod{
	"strip":  {[]string{"chars"}, func(s *state, text string, a []any) any { return strings.TrimFunc(text, s.cutset(a[0])) }},
	"lstrip": {[]string{"chars"}, func(s *state, text string, a []any) any { return strings.TrimLeftFunc(text, s.cutset(a[0])) }},
	"rstrip": {[]string{"chars"}, func(s *state, text string, a []any) any { return strings.TrimRightFunc(text, s.cutset(a[0])) }},
	"upper":  {nil, func(s *state, text string, _ []any) any { return upper(text) }},
	"lower":  {nil, func(s *state, text string, _ []any) any { return lower(text) }},
	"title":  {nil, func(s *state, text string, _ []any) any { return title(text, isWordOnly) }},
	"capitalize": {nil, func(s *state, text string, _ []any) any {
		return capitalize(text)
	}},
	"split": {[]string{"sep", "maxsplit"}, func(s *state, text string, a []any) any {
		return s.split(text, a, strings.SplitN, fieldsN)
	}},
	"rsplit": {[]string{"sep", "maxsplit"}, func(s *state, text string, a []any) any {
		return s.split(text, a, rsplitN, rfieldsN)
	}},
	"splitlines": {nil, func(s *state, text string, _ []any) any { return listOfStrings(lines(text)) }},
	"startswith": {[]string{"prefix"}, func(s *state, text string, a []any) any { return s.anyAffix(text, a[0], strings.HasPrefix) }},
	"endswith":   {[]string{"suffix"}, func(s *state, text string, a []any) any { return s.anyAffix(text, a[0], strings.HasSuffix) }},
	"removeprefix": {[]string{"prefix"}, func(s *state, text string, a []any) any {
		return strings.TrimPrefix(text, s.given("removeprefix", a[0]))
	}},
	"removesuffix": {[]string{"suffix"}, func(s *state, text string, a []any) any {
		return strings.TrimSuffix(text, s.given("removesuffix", a[0]))
	}},
	"replace": {[]string{"old", "new", "count"}, func(s *state, text string, a []any) any { return s.replace(text, a) }},
	"find": {[]string{"sub"}, func(s *state, text string, a []any) any {
		return runesBefore(text, strings.Index(text, s.given("find", a[0])))
	}},
	"rfind": {[]string{"sub"}, func(s *state, text string, a []any) any {
		return runesBefore(text, strings.LastIndex(text, s.given("rfind", a[0])))
	}},
	"count": {[]string{"sub"}, func(s *state, text string, a []any) any {
		return int64(strings.Count(text, s.given("count", a[0])))
	}},
	"join": {[]string{"iterable"}, func(s *state, text string, a []any) any { return s.join(s.items(a[0]), text) }},
	"isdigit": {nil, func(s *state, text string, _ []any) any {
		return text != "" && strings.TrimFunc(text, unicode.IsDigit) == ""
	}},
	"isspace": {nil, func(s *state, text string, _ []any) any { return text != "" && strings.TrimFunc(text, isSpace) == "" }},
}

// changing are methods that would change a value, which no template may.
var changing = []string{"append", "extend", "insert", "pop", "remove", "clear", "update", "setdefault", "popitem", "sort", "reverse"}

// method returns the method of a value, nil if it has none of that name.
func (s *state) method(v any, name string) *function {
	var call func(s *state, a args) any
	switch v := v.(type) {
	case string:
		return textMethod(v, name)
	case *dict:
		call = dictMethod(v, name)
	case *list:
		call = listMethod(v, name)
	default:
		return nil
	}
	if call == nil && slices.Contains(changing, name) {
		call = func(s *state, _ args) any {
			s.fail("%s() would change a value; templates may only set names of their own", name)
			return nil
		}
	}
	if call == nil {
		return nil
	}
	return &function{name: name, fn: call}
}

func textMethod(text, name string) *function {
	m, ok := stringMethods[name]
	if !ok {
		return nil
	}
	return &function{name: name, fn: func(s *state, a args) any {
		if given := a.bind(s, name, m.params...); s.err == nil && s.room(len(text)) {
			return m.call(s, text, given)
		}
		return ""
	}}
}

func dictMethod(d *dict, name string) func(*state, args) any {
	switch name {
	case "items":
		return func(s *state, a args) any {
			a.bind(s, name)
			return s.pairs(d)
		}
	case "keys":
		return func(s *state, a args) any {
			a.bind(s, name)
			return &list{items: d.keys}
		}
	case "values":
		return func(s *state, a args) any {
			a.bind(s, name)
			return &list{items: d.all()}
		}
	case "get":
		return func(s *state, a args) any {
			given := a.bind(s, name, "key", "default")
			if v, ok := d.values[given[0]]; ok && s.isKey(given[0]) {
				return v
			}
			if given[1] == (missing{}) {
				return nil
			}
			return given[1]
		}
	}
	return nil
}

func listMethod(l *list, name string) func(*state, args) any {
	same := func(s *state, v any) func(any) bool { return func(item any) bool { return s.equal(item, v) } }
	switch name {
	case "index":
		return func(s *state, a args) any {
			i := slices.IndexFunc(l.items, same(s, a.bind(s, name, "value")[0]))
			if i < 0 {
				s.fail("index(): no such item in the list")
			}
			return int64(i)
		}
	case "count":
		return func(s *state, a args) any {
			n, is := int64(0), same(s, a.bind(s, name, "value")[0])
			for _, item := range l.items {
				if is(item) {
					n++
				}
			}
			return n
		}
	}
	return nil
}

// pairs returns the keys and values of a mapping as tuples.
func (s *state) pairs(d *dict) *list {
	l := &list{}
	for _, key := range d.keys {
		l.items = append(l.items, &list{[]any{key, d.values[key]}, true})
	}
	s.spend(len(d.keys))
	return l
}

func (d *dict) all() []any {
	var values []any
	for _, key := range d.keys {
		values = append(values, d.values[key])
	}
	return values
}

// given returns a string that a method cannot do without.
func (s *state) given(what string, v any) string {
	text, ok := v.(string)
	if !ok {
		s.fail("%s() wants a string", what)
	}
	return text
}

// cutset says which characters to strip: white space, or those of a string.
func (s *state) cutset(v any) func(rune) bool {
	if v == nil || v == (missing{}) {
		return isSpace
	}
	chars := s.given("strip", v)
	return func(r rune) bool { return strings.ContainsRune(chars, r) }
}

// anyAffix is startswith and endswith, of one string or any of a tuple.
func (s *state) anyAffix(text string, v any, has func(text, part string) bool) bool {
	if l, ok := v.(*list); ok && l.tuple {
		return slices.ContainsFunc(l.items, func(item any) bool { return has(text, s.given("startswith", item)) })
	}
	return has(text, s.given("startswith", v))
}

func (s *state) replace(text string, a []any) any {
	old, new, count := s.given("replace", a[0]), s.given("replace", a[1]), s.number("replace", a[2], -1)
	n := strings.Count(text, old)
	if !s.room(len(text) + n*max(0, len(new)-len(old))) {
		return ""
	}
	return strings.Replace(text, old, new, int(min(count, maxText)))
}

// split cuts a string at a separator, or at white space where none is given.
func (s *state) split(text string, a []any, at func(text, sep string, n int) []string, space func(text string, n int) []string) any {
	n := min(s.number("split", a[1], -1), maxText)
	if n >= 0 {
		n++
	}
	var parts []string
	if a[0] == nil || a[0] == (missing{}) {
		parts = space(text, int(n))
	} else if sep := s.given("split", a[0]); sep == "" {
		s.fail("split() at an empty string")
	} else {
		parts = at(text, sep, int(n))
	}
	s.spend(len(parts))
	return listOfStrings(parts)
}

func listOfStrings(parts []string) *list {
	l := &list{}
	for _, p := range parts {
		l.items = append(l.items, p)
	}
	return l
}

// join puts items together as text.
func (s *state) join(items []any, sep string) string {
	size := 0
	parts := make([]string, 0, len(items))
	for _, item := range items {
		parts = append(parts, s.str(item))
		size += len(parts[len(parts)-1]) + len(sep)
	}
	if !s.spend(len(items)) || !s.room(size) {
		return ""
	}
	return strings.Join(parts, sep)
}
