package jinja

import "unicode/utf8"

// expr is an expression. eval never fails by itself: the state keeps the error,
// and the value no longer matters.
type expr interface{ eval(*state, *scope) any }

type constant struct{ value any }

func (x constant) eval(*state, *scope) any { return x.value }

type variable struct{ name string }

func (x *variable) eval(_ *state, c *scope) any { return c.get(x.name) }

// listOf is [a, b], or the tuple (a, b).
type listOf struct {
	items []expr
	tuple bool
}

func (x *listOf) eval(s *state, c *scope) any {
	l := &list{tuple: x.tuple}
	for _, item := range x.items {
		l.items = append(l.items, item.eval(s, c))
	}
	s.spend(len(l.items))
	return l
}

// dictOf is {a: b}.
type dictOf struct{ keys, values []expr }

func (x *dictOf) eval(s *state, c *scope) any {
	d := newDict()
	for i := range x.keys {
		if key := x.keys[i].eval(s, c); s.isKey(key) {
			d.set(key, x.values[i].eval(s, c))
		}
	}
	s.spend(len(d.keys))
	return d
}

// isKey says whether a value can be the key of a mapping.
func (s *state) isKey(v any) bool {
	switch v.(type) {
	case nil, bool, int64, float64, string:
		return true
	}
	s.fail("%s cannot be the key of a mapping", kindOf(v))
	return false
}

// choice is a if test else b.
type choice struct{ test, yes, no expr }

func (x *choice) eval(s *state, c *scope) any {
	switch {
	case truth(x.test.eval(s, c)):
		return x.yes.eval(s, c)
	case x.no == nil:
		return undefined{"an if without else"}
	}
	return x.no.eval(s, c)
}

// logic is a and b, a or b: the value that decides.
type logic struct {
	or   bool
	a, b expr
}

func (x *logic) eval(s *state, c *scope) any {
	if a := x.a.eval(s, c); truth(a) == x.or {
		return a
	}
	return x.b.eval(s, c)
}

type not struct{ x expr }

func (x *not) eval(s *state, c *scope) any { return !truth(x.x.eval(s, c)) }

// compare is a < b <= c.
type compare struct {
	first expr
	rest  []operand
}

type operand struct {
	op string
	x  expr
}

func (x *compare) eval(s *state, c *scope) any {
	a := x.first.eval(s, c)
	for _, r := range x.rest {
		b := r.x.eval(s, c)
		if s.spend(1); !s.compare(r.op, a, b) {
			return false
		}
		a = b
	}
	return true
}

// arithmetic is a + b and its like.
type arithmetic struct {
	op   string
	a, b expr
}

func (x *arithmetic) eval(s *state, c *scope) any {
	a, b := x.a.eval(s, c), x.b.eval(s, c)
	if !s.spend(1) {
		return nil
	}
	return s.arithmetic(x.op, a, b)
}

// field is value.name: a method, else what a mapping holds by that name.
type field struct {
	x    expr
	name string
}

func (x *field) eval(s *state, c *scope) any {
	v := x.x.eval(s, c)
	if f := s.method(v, x.name); f != nil {
		return f
	}
	return s.at(v, x.name)
}

// item is value[key]: what a mapping or a list holds, else a method.
type item struct{ x, key expr }

func (x *item) eval(s *state, c *scope) any {
	v, key := x.x.eval(s, c), x.key.eval(s, c)
	found := s.at(v, key)
	if name, ok := key.(string); ok && found == any(undefined{name}) {
		if f := s.method(v, name); f != nil {
			return f
		}
	}
	return found
}

// at returns what a value holds by a key; undefined where it holds nothing.
func (s *state) at(v, key any) any {
	name, isName := key.(string)
	i, isIndex := key.(int64)
	switch v := v.(type) {
	case undefined:
		s.fail("%s is not defined, so it has no %v", v.what, s.str(key))
	case *dict:
		if s.isKey(key) {
			if found, ok := v.values[key]; ok {
				return found
			}
		}
	case *namespace:
		if found, ok := v.values[name]; ok && isName {
			return found
		}
	case *loop:
		return v.field(name)
	case *list:
		if i = fromEnd(i, len(v.items)); isIndex && i >= 0 && i < int64(len(v.items)) {
			return v.items[i]
		}
	case string:
		if isIndex && s.spend(len(v)/256) {
			return runeAt(v, i)
		}
	}
	if isName {
		return undefined{name}
	}
	return undefined{"item " + s.str(key)}
}

// fromEnd makes a place that counts from the end one that counts from the start.
func fromEnd(i int64, n int) int64 {
	if i < 0 {
		return i + int64(n)
	}
	return i
}

func runeAt(text string, i int64) any {
	i = fromEnd(i, utf8.RuneCountInString(text))
	for _, r := range text {
		if i == 0 {
			return string(r)
		}
		i--
	}
	return undefined{"a character behind the end"}
}

// slice is value[from:to:step].
type slice struct {
	x      expr
	bounds [3]expr
}

func (x *slice) eval(s *state, c *scope) any {
	v := x.x.eval(s, c)
	items := s.items(v)
	step := x.bound(s, c, 2, 1)
	if step == 0 {
		s.fail("a slice with a step of 0")
	}
	if s.err != nil {
		return nil
	}
	n := int64(len(items))
	from, to := int64(0), n
	if step < 0 {
		from, to = n-1, -1
	}
	from, to = x.clamped(s, c, 0, from, n, step), x.clamped(s, c, 1, to, n, step)
	var kept []any
	for i := from; step > 0 && i < to || step < 0 && i > to; i += step {
		kept = append(kept, items[i])
	}
	s.spend(len(kept))
	switch v := v.(type) {
	case string:
		return s.join(kept, "")
	case *list:
		return &list{kept, v.tuple}
	}
	s.fail("%s cannot be sliced", kindOf(v))
	return nil
}

// bound returns one of the three numbers of a slice.
func (x *slice) bound(s *state, c *scope, which int, def int64) int64 {
	if x.bounds[which] == nil {
		return def
	}
	switch v := x.bounds[which].eval(s, c).(type) {
	case nil:
		return def
	case int64:
		return min(max(v, -maxSteps), maxSteps)
	default:
		s.fail("%s is no bound of a slice, want a whole number", kindOf(v))
		return def
	}
}

// clamped returns a bound of a slice of n items, as Python counts.
func (x *slice) clamped(s *state, c *scope, which int, def, n, step int64) int64 {
	const none = -maxSteps - 1
	v := x.bound(s, c, which, none)
	if v == none {
		return def
	}
	low, high := int64(0), n
	if step < 0 {
		low, high = -1, n-1
	}
	return min(max(fromEnd(v, int(n)), low), high)
}
