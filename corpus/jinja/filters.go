package jinja

import (
	"cmp"
	"math"
	"slices"
	"strings"
)

var filters map[string]func(s *state, v any, a args) any

// The filters look each other up (map, select), so that they are set here.
func init() {
	filters = map[string]func(s *state, v any, a args) any{
		"abs": func(s *state, v any, a args) any {
			a.bind(s, "abs")
			if n, ok := v.(int64); ok {
				return max(n, -n)
			}
			return math.Abs(s.aNumber("abs", v))
		},
		"capitalize": ofText("capitalize"),
		"lower":      ofText("lower"),
		"upper":      ofText("upper"),
		"title": func(s *state, v any, a args) any {
			a.bind(s, "title")
			return s.made(title(s.str(v), func(r rune) bool { return !isSpace(r) && !strings.ContainsRune("-([{<", r) }))
		},
		"trim":    func(s *state, v any, a args) any { return callText(s, s.str(v), "strip", a) },
		"replace": func(s *state, v any, a args) any { return callText(s, s.str(v), "replace", a) },
		"string":  func(s *state, v any, a args) any { return s.str(v) },
		"safe":    func(s *state, v any, a args) any { return v },
		"list":    func(s *state, v any, a args) any { return &list{items: s.items(v)} },
		"length":  func(s *state, v any, a args) any { return int64(s.length(v)) },
		"count":   func(s *state, v any, a args) any { return int64(s.length(v)) },
		"items":   itemsOf,
		"default": orDefault,
		"d":       orDefault,
		"first":   func(s *state, v any, a args) any { return end(s.items(v), 0, "the first of nothing") },
		"last": func(s *state, v any, a args) any {
			items := s.items(v)
			return end(items, len(items)-1, "the last of nothing")
		},
		"int":        toInt,
		"float":      toFloat,
		"round":      round,
		"join":       joinItems,
		"reverse":    reversed,
		"sort":       sorted,
		"unique":     unique,
		"dictsort":   dictSorted,
		"sum":        sum,
		"min":        func(s *state, v any, a args) any { return s.extreme(v, a, -1) },
		"max":        func(s *state, v any, a args) any { return s.extreme(v, a, 1) },
		"map":        mapped,
		"select":     func(s *state, v any, a args) any { return s.selected(v, a, true) },
		"reject":     func(s *state, v any, a args) any { return s.selected(v, a, false) },
		"selectattr": func(s *state, v any, a args) any { return s.selectedBy(v, a, true) },
		"rejectattr": func(s *state, v any, a args) any { return s.selectedBy(v, a, false) },
		"indent":     indented,
		"format":     formatFilter,
		"tojson":     toJSON,
	}
}

// ofText is a filter that is a method of strings, of whatever as text.
func ofText(method string) func(*state, any, args) any {
	return func(s *state, v any, a args) any { return callText(s, s.str(v), method, a) }
}

func callText(s *state, text, method string, a args) any {
	return s.method(text, method).fn(s, a)
}

// aNumber returns a value that has to be a number.
func (s *state) aNumber(what string, v any) float64 {
	n, ok := asFloat(v)
	if !ok {
		s.fail("%s: %s, want a number", what, kindOf(v))
	}
	return n
}

func itemsOf(s *state, v any, a args) any {
	d, ok := v.(*dict)
	if _, nothing := v.(undefined); !ok && !nothing {
		s.fail("items: %s, want a mapping", kindOf(v))
	}
	if !ok {
		return &list{}
	}
	return s.pairs(d)
}

func orDefault(s *state, v any, a args) any {
	given := a.bind(s, "default", "default_value", "boolean")
	def := given[0]
	if def == (missing{}) {
		def = ""
	}
	if _, nothing := v.(undefined); nothing || given[1] != (missing{}) && truth(given[1]) && !truth(v) {
		return def
	}
	return v
}

// end returns an item at one end of a list.
func end(items []any, i int, what string) any {
	if len(items) == 0 {
		return undefined{what}
	}
	return items[i]
}

func joinItems(s *state, v any, a args) any {
	given := a.bind(s, "join", "d", "attribute")
	items := s.items(v)
	if given[1] != (missing{}) {
		items = s.attributes(items, given[1], missing{})
	}
	return s.join(items, s.text("join", given[0], ""))
}

func reversed(s *state, v any, a args) any {
	a.bind(s, "reverse")
	items := slices.Clone(s.items(v))
	slices.Reverse(items)
	if s.spend(len(items)); isString(v) {
		return s.join(items, "")
	}
	return &list{items: items}
}

func isString(v any) bool { _, ok := v.(string); return ok }

// folded is what text is sorted by where its case does not count.
func folded(v any) any {
	if text, ok := v.(string); ok {
		return strings.ToLower(text)
	}
	return v
}

// sortItems sorts items by a key, small ones first. It keeps the order of equal ones.
func (s *state) sortItems(items []any, reverse bool, key func(any) any) []any {
	items = slices.Clone(items)
	s.spend(len(items) * 20)
	slices.SortStableFunc(items, func(a, b any) int {
		if s.err != nil {
			return 0
		}
		if order := s.order(key(a), key(b)); !reverse {
			return order
		} else {
			return -order
		}
	})
	return items
}

// keyOf returns what items are sorted and compared by.
func (s *state) keyOf(attribute, caseSensitive any) func(any) any {
	return func(v any) any {
		if attribute != (missing{}) && attribute != nil {
			v = s.attribute(v, attribute)
		}
		if caseSensitive == (missing{}) || !truth(caseSensitive) {
			v = folded(v)
		}
		return v
	}
}

func sorted(s *state, v any, a args) any {
	g := a.bind(s, "sort", "reverse", "case_sensitive", "attribute")
	return &list{items: s.sortItems(s.items(v), g[0] != (missing{}) && truth(g[0]), s.keyOf(g[2], g[1]))}
}

func dictSorted(s *state, v any, a args) any {
	g := a.bind(s, "dictsort", "case_sensitive", "by", "reverse")
	d, ok := v.(*dict)
	by := s.text("dictsort", g[1], "key")
	if !ok || by != "key" && by != "value" {
		s.fail("dictsort wants a mapping, by key or by value")
		return nil
	}
	which := map[string]int{"key": 0, "value": 1}[by]
	key := s.keyOf(missing{}, g[0])
	return &list{items: s.sortItems(s.pairs(d).items, g[2] != (missing{}) && truth(g[2]), func(v any) any { return key(v.(*list).items[which]) })}
}

func unique(s *state, v any, a args) any {
	g := a.bind(s, "unique", "case_sensitive", "attribute")
	key := s.keyOf(g[1], g[0])
	var kept, seen []any
	for _, item := range s.items(v) {
		k := key(item)
		if !s.spend(1) || slices.ContainsFunc(seen, func(other any) bool { return s.equal(k, other) }) {
			continue
		}
		kept, seen = append(kept, item), append(seen, k)
	}
	return &list{items: kept}
}

// extreme returns the smallest item, or, for sign 1, the largest.
func (s *state) extreme(v any, a args, sign int) any {
	g := a.bind(s, "max", "case_sensitive", "attribute")
	key := s.keyOf(g[1], g[0])
	items := s.items(v)
	if len(items) == 0 {
		return undefined{"the largest of nothing"}
	}
	best := items[0]
	for _, item := range items[1:] {
		if s.spend(1) && cmp.Compare(s.order(key(item), key(best)), 0) == sign {
			best = item
		}
	}
	return best
}

func sum(s *state, v any, a args) any {
	g := a.bind(s, "sum", "attribute", "start")
	total := g[1]
	if total == (missing{}) {
		total = int64(0)
	}
	for _, item := range s.items(v) {
		if g[0] != (missing{}) && g[0] != nil {
			item = s.attribute(item, g[0])
		}
		if total = s.arithmetic("+", total, item); !s.spend(1) {
			return nil
		}
	}
	return total
}

func indented(s *state, v any, a args) any {
	g := a.bind(s, "indent", "width", "first", "blank")
	by := s.indentBy("indent", g[0], "    ")
	text := s.str(v)
	if !s.room(len(text) + len(by)*(strings.Count(text, "\n")+1)) {
		return ""
	}
	lines := strings.Split(text, "\n")
	for i := range lines {
		first := g[1] != (missing{}) && truth(g[1])
		blank := g[2] != (missing{}) && truth(g[2])
		if i == 0 && first || i > 0 && (blank || lines[i] != "") {
			lines[i] = by + lines[i]
		}
	}
	return strings.Join(lines, "\n")
}

// indentBy returns an indentation, which is given as a number of spaces or as text.
func (s *state) indentBy(what string, v any, def string) string {
	if n, ok := v.(int64); ok {
		return strings.Repeat(" ", int(min(max(n, 0), 1000)))
	}
	return s.text(what, v, def)
}
