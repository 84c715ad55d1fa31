package jinja

import "strings"

// test is what may follow is, with the number of values it takes beside the one
// that is tested.
type test struct {
	args int
	is   func(s *state, v, arg any) bool
}

// tests by name. Those that compare have several names.
var tests map[string]*test

func init() {
	kind := func(is func(any) bool) *test { return &test{0, func(_ *state, v, _ any) bool { return is(v) }} }
	op := func(op string) *test {
		return &test{1, func(s *state, v, arg any) bool { return s.compare(op, v, arg) }}
	}
	tests = map[string]*test{
		"defined":     kind(func(v any) bool { _, ok := v.(undefined); return !ok }),
		"undefined":   kind(func(v any) bool { _, ok := v.(undefined); return ok }),
		"none":        kind(func(v any) bool { return v == nil }),
		"boolean":     kind(func(v any) bool { _, ok := v.(bool); return ok }),
		"true":        kind(func(v any) bool { return v == true }),
		"false":       kind(func(v any) bool { return v == false }),
		"integer":     kind(func(v any) bool { _, ok := v.(int64); return ok }),
		"float":       kind(func(v any) bool { _, ok := v.(float64); return ok }),
		"number":      kind(func(v any) bool { _, ok := asFloat(v); return ok }),
		"string":      kind(isString),
		"mapping":     kind(isMapping),
		"iterable":    kind(func(v any) bool { _, nothing := v.(undefined); return nothing || isString(v) || isCollection(v) }),
		"sequence":    kind(func(v any) bool { _, nothing := v.(undefined); return nothing || isString(v) || isCollection(v) }),
		"callable":    kind(func(v any) bool { _, ok := v.(*function); return ok }),
		"lower":       {0, func(s *state, v, _ any) bool { return isCased(s.str(v), lower) }},
		"upper":       {0, func(s *state, v, _ any) bool { return isCased(s.str(v), upper) }},
		"odd":         {0, func(s *state, v, _ any) bool { return s.equal(s.arithmetic("%", v, int64(2)), int64(1)) }},
		"even":        {0, func(s *state, v, _ any) bool { return s.equal(s.arithmetic("%", v, int64(2)), int64(0)) }},
		"divisibleby": {1, func(s *state, v, by any) bool { return s.equal(s.arithmetic("%", v, by), int64(0)) }},
		"sameas":      {1, func(s *state, v, other any) bool { return kindOf(v) == kindOf(other) && s.equal(v, other) }},
	}
	for sign, names := range map[string]string{
		"==": "eq equalto ==", "!=": "ne !=", "<": "lt lessthan <", "<=": "le <=", ">": "gt greaterthan >", ">=": "ge >=", "in": "in",
	} {
		for _, name := range strings.Fields(names) {
			tests[name] = op(sign)
		}
	}
}

func isCollection(v any) bool {
	_, isList := v.(*list)
	return isList || isMapping(v)
}

func isMapping(v any) bool { _, ok := v.(*dict); return ok }

// isCased says whether a text has letters and is what a change of case makes of it.
func isCased(text string, change func(string) string) bool {
	return change(text) == text && lower(text) != upper(text)
}
