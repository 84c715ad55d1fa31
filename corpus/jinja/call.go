package jinja

import (
	"slices"
	"strings"
)

// argument is what a call gives to one parameter; name is empty for those that
// go by their place.
type argument struct {
	name  string
	value expr
}

// args are the values that a call gives.
type args struct {
	plain []any
	named []Pair
}

// missing stands for a parameter that a call gives nothing.
type missing struct{}

// call is function(a, name=b).
type call struct {
	fn   expr
	args []argument
}

func (x *call) eval(s *state, c *scope) any {
	f := x.fn.eval(s, c)
	given := x.given(s, c)
	if !s.spend(1) {
		return nil
	}
	fn, ok := f.(*function)
	if !ok {
		s.fail("%s cannot be called", kindOf(f))
		return nil
	}
	return fn.fn(s, given)
}

func (x *call) given(s *state, c *scope) args { return evalArgs(s, c, x.args) }

func evalArgs(s *state, c *scope, list []argument) (a args) {
	for _, arg := range list {
		if v := arg.value.eval(s, c); arg.name == "" {
			a.plain = append(a.plain, v)
		} else {
			a.named = append(a.named, Pair{arg.name, v})
		}
	}
	return a
}

// bind returns the value of each parameter, missing where the call gives none.
func (a args) bind(s *state, what string, params ...string) []any {
	values := make([]any, len(params))
	for i := range values {
		values[i] = missing{}
	}
	if len(a.plain) > len(params) {
		s.fail("%s takes %d values, not %d", what, len(params), len(a.plain))
		return values
	}
	copy(values, a.plain)
	for _, n := range a.named {
		i := slices.Index(params, n.Key)
		switch {
		case i < 0:
			s.fail("%s takes no %s, only %s", what, n.Key, strings.Join(params, ", "))
		case i < len(a.plain) || values[i] != missing{}:
			s.fail("%s is given %s twice", what, n.Key)
		default:
			values[i] = n.Value
		}
	}
	return values
}

// text returns a parameter that is a string; def where it is missing or none.
func (s *state) text(what string, v any, def string) string {
	switch v := v.(type) {
	case string:
		return v
	case nil, missing:
		return def
	}
	s.fail("%s: %s, want a string", what, kindOf(v))
	return ""
}

// number returns a parameter that is a whole number; def where it is missing or
// none.
func (s *state) number(what string, v any, def int64) int64 {
	switch v := v.(type) {
	case int64:
		return v
	case nil, missing:
		return def
	}
	s.fail("%s: %s, want a whole number", what, kindOf(v))
	return 0
}

// filtered is value | filter(args).
type filtered struct {
	value expr
	name  string
	args  []argument
}

func (x *filtered) eval(s *state, c *scope) any {
	v, a := x.value.eval(s, c), evalArgs(s, c, x.args)
	if !s.spend(1) {
		return nil
	}
	return s.filter(x.name, v, a)
}

func (s *state) filter(name string, v any, a args) any {
	f := filters[name]
	if f == nil {
		s.fail("filter %q is not known here", name)
		return nil
	}
	return f(s, v, a)
}

// tested is value is test(args).
type tested struct {
	value expr
	name  string
	args  []argument
}

func (x *tested) eval(s *state, c *scope) any {
	v, a := x.value.eval(s, c), evalArgs(s, c, x.args)
	if !s.spend(1) {
		return nil
	}
	return s.test(x.name, v, a.plain)
}

func (s *state) test(name string, v any, a []any) bool {
	t, ok := tests[name]
	switch {
	case !ok:
		s.fail("test %q is not known here", name)
	case len(a) != t.args:
		s.fail("test %q takes %d values, not %d", name, t.args, len(a))
	default:
		return t.is(s, v, append(a, nil)[0])
	}
	return false
}
