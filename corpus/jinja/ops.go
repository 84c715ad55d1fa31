package jinja

import (
	"math"
	"slices"
	"strings"
)

// compare is one comparison.
func (s *state) compare(op string, a, b any) bool {
	switch op {
	case "==":
		return s.equal(a, b)
	case "!=":
		return !s.equal(a, b)
	case "in":
		return s.contains(b, a)
	case "not in":
		return !s.contains(b, a)
	}
	order := s.order(a, b)
	switch op {
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}

// equal says whether two values are the same, numbers of any kind by value.
func (s *state) equal(a, b any) bool {
	defer s.leave()
	if !s.enter() || !s.spend(1) {
		return false
	}
	if x, ok := asFloat(a); ok {
		y, ok := asFloat(b)
		return ok && x == y
	}
	switch a := a.(type) {
	case undefined:
		_, ok := b.(undefined)
		return ok
	case *list:
		b, ok := b.(*list)
		return ok && a.tuple == b.tuple && slices.EqualFunc(a.items, b.items, s.equal)
	case *dict:
		b, ok := b.(*dict)
		if !ok || len(a.keys) != len(b.keys) {
			return false
		}
		return !slices.ContainsFunc(a.keys, func(key any) bool {
			other, ok := b.values[key]
			return !ok || !s.equal(a.values[key], other)
		})
	}
	return a == b
}

// asFloat returns a number, which true and false are too.
func asFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

// asInt returns a whole number, which true and false are too.
func asInt(v any) (int64, bool) {
	switch v := v.(type) {
	case bool:
		if v {
			return 1, true
		}
		return 0, true
	case int64:
		return v, true
	}
	return 0, false
}

// order compares two values: below 0 if a comes first.
func (s *state) order(a, b any) int {
	x, isNumber := asFloat(a)
	y, both := asFloat(b)
	if isNumber && both {
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	}
	switch a := a.(type) {
	case string:
		if b, ok := b.(string); ok {
			return strings.Compare(a, b)
		}
	case *list:
		if b, ok := b.(*list); ok && s.enter() {
			defer s.leave()
			return slices.CompareFunc(a.items, b.items, s.order)
		}
	}
	s.fail("%s and %s have no order", kindOf(a), kindOf(b))
	return 0
}

// contains says whether a value holds another.
func (s *state) contains(v, wanted any) bool {
	switch v := v.(type) {
	case undefined:
		return false
	case string:
		if part, ok := wanted.(string); ok && s.spend(len(v)/256) {
			return strings.Contains(v, part)
		}
		s.fail("%s cannot be in a string", kindOf(wanted))
		return false
	case *list:
		return slices.ContainsFunc(v.items, func(item any) bool { return s.equal(item, wanted) })
	case *dict:
		if !s.isKey(wanted) {
			return false
		}
		_, ok := v.values[wanted]
		return ok
	}
	s.fail("nothing can be in %s", kindOf(v))
	return false
}

// arithmetic is one operation of two values.
func (s *state) arithmetic(op string, a, b any) any {
	if op == "~" {
		return s.concat(s.str(a), s.str(b))
	}
	x, isNumber := asFloat(a)
	y, both := asFloat(b)
	if isNumber && both {
		i, whole := asInt(a)
		j, bothWhole := asInt(b)
		if whole && bothWhole {
			return s.whole(op, i, j)
		}
		return s.float(op, x, y)
	}
	switch op {
	case "+":
		if sum := s.add(a, b); sum != nil {
			return sum
		}
	case "*":
		if n, ok := asInt(b); ok {
			return s.repeat(a, n)
		} else if n, ok := asInt(a); ok {
			return s.repeat(b, n)
		}
	case "%":
		if format, ok := a.(string); ok {
			if l, ok := b.(*list); ok && l.tuple {
				return s.format(format, l.items)
			}
			return s.format(format, []any{b})
		}
	}
	s.fail("%s %s %s is not possible", kindOf(a), op, kindOf(b))
	return nil
}

func (s *state) concat(a, b string) string {
	if !s.room(len(a) + len(b)) {
		return ""
	}
	return a + b
}

// add puts two strings or lists together; nil if they are neither.
func (s *state) add(a, b any) any {
	switch a := a.(type) {
	case string:
		if b, ok := b.(string); ok {
			return s.concat(a, b)
		}
	case *list:
		if b, ok := b.(*list); ok && a.tuple == b.tuple && s.spend(len(a.items)+len(b.items)) {
			return &list{slices.Concat(a.items, b.items), a.tuple}
		}
	}
	return nil
}

// repeat is a string or a list n times.
func (s *state) repeat(v any, n int64) any {
	n = max(n, 0)
	switch v := v.(type) {
	case string:
		if n > maxText || !s.room(len(v)*int(n)) {
			s.fail("a text of more than %d bytes", maxText)
			return ""
		}
		return strings.Repeat(v, int(n))
	case *list:
		if n > maxSteps || !s.spend(len(v.items)*int(n)) {
			s.fail("%w", errWork)
			return nil
		}
		return &list{slices.Repeat(v.items, int(n)), v.tuple}
	}
	s.fail("%s cannot be repeated", kindOf(v))
	return nil
}

// whole is an operation of two whole numbers.
func (s *state) whole(op string, a, b int64) any {
	x, y := float64(a), float64(b)
	switch {
	case op == "/" || op == "**" && b < 0:
		return s.float(op, x, y)
	case (op == "//" || op == "%") && b == 0:
		s.fail("%d %s 0: division by zero", a, op)
		return nil
	case op == "//":
		q := a / b
		if a%b != 0 && (a < 0) != (b < 0) {
			q--
		}
		return q
	case op == "%":
		return ((a % b) + b) % b
	}
	result := map[string]float64{"+": x + y, "-": x - y, "*": x * y, "**": math.Pow(x, y)}[op]
	if math.Abs(result) > 1<<53 {
		s.fail("%d %s %d: too large a number", a, op, b)
	}
	return int64(result)
}

// float is an operation of two numbers.
func (s *state) float(op string, x, y float64) any {
	if (op == "/" || op == "//" || op == "%") && y == 0 {
		s.fail("%v %s 0: division by zero", x, op)
		return nil
	}
	switch op {
	case "+":
		return x + y
	case "-":
		return x - y
	case "*":
		return x * y
	case "/":
		return x / y
	case "//":
		return math.Floor(x / y)
	case "%":
		return x - y*math.Floor(x/y)
	}
	return math.Pow(x, y)
}
