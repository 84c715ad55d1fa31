package jinja

import (
	"strconv"
	"strings"
)

// attribute returns what an item holds by a name, or by several with dots
// between.
func (s *state) attribute(v, name any) any {
	text, ok := name.(string)
	if !ok {
		return s.at(v, name)
	}
	for part := range strings.SplitSeq(text, ".") {
		if i, err := strconv.ParseInt(part, 10, 64); err == nil {
			v = s.at(v, i)
		} else {
			v = s.at(v, part)
		}
	}
	return v
}

// attributes returns what each item holds by a name; def where it holds nothing.
func (s *state) attributes(items []any, name, def any) []any {
	var values []any
	for _, item := range items {
		if !s.spend(1) {
			return nil
		}
		v := s.attribute(item, name)
		if _, nothing := v.(undefined); nothing && def != (missing{}) {
			v = def
		}
		values = append(values, v)
	}
	return values
}

// mapped is map(attribute="name") and map("filter", args).
func mapped(s *state, v any, a args) any {
	items := s.items(v)
	if len(a.plain) == 0 {
		g := a.bind(s, "map", "attribute", "default")
		if g[0] == (missing{}) {
			s.fail("map wants a filter or an attribute")
			return nil
		}
		return &list{items: s.attributes(items, g[0], g[1])}
	}
	name := s.text("map", a.plain[0], "")
	l := &list{}
	for _, item := range items {
		if !s.spend(1) {
			return nil
		}
		l.items = append(l.items, s.filter(name, item, args{a.plain[1:], a.named}))
	}
	return l
}

// selected keeps the items that pass a test, or those that do not.
func (s *state) selected(v any, a args, keep bool) any {
	return s.choose(v, a.plain, keep, func(item any) any { return item })
}

// selectedBy does the same by what the items hold.
func (s *state) selectedBy(v any, a args, keep bool) any {
	if len(a.plain) == 0 {
		s.fail("selectattr wants the name of an attribute")
		return nil
	}
	return s.choose(v, a.plain[1:], keep, func(item any) any { return s.attribute(item, a.plain[0]) })
}

// choose keeps the items whose value passes the test that is named first, or is
// true where none is.
func (s *state) choose(v any, test []any, keep bool, value func(any) any) any {
	l := &list{}
	for _, item := range s.items(v) {
		if !s.spend(1) {
			return nil
		}
		passes := false
		if len(test) == 0 {
			passes = truth(value(item))
		} else {
			passes = s.test(s.text("select", test[0], ""), value(item), test[1:])
		}
		if passes == keep {
			l.items = append(l.items, item)
		}
	}
	return l
}
