package jinja

import (
	"fmt"
	"maps"
	"strings"
)

// The bounds of a template and of one rendering.
const (
	maxSource = 1 << 20  // bytes of a template
	maxSteps  = 4 << 20  // nodes visited, items made and 256 bytes of text written are one each
	maxText   = 64 << 20 // bytes of any one text
	maxDepth  = 100      // macros, tags and brackets inside each other
)

// Template is a parsed template. It may be rendered by several goroutines.
type Template struct{ body []node }

// Parse reads a template. Its errors name the line.
func Parse(source string) (*Template, error) {
	if len(source) > maxSource {
		return nil, fmt.Errorf("%d bytes of template, want at most %d", len(source), maxSource)
	}
	tokens, err := lex(source)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	body := p.body()
	if p.err == nil && p.peek().kind != tokenEnd {
		p.fail("%s without a beginning", p.peek())
	}
	return &Template{body}, p.err
}

// Pair is one entry of a Dict.
type Pair struct {
	Key   string
	Value any
}

// Dict is a mapping that keeps its order.
type Dict []Pair

// Render returns the text of a template. The values may be nil, bool, int,
// string, []any and Dict.
func (t *Template) Render(values map[string]any) (string, error) {
	return t.render(values, maxSteps)
}

func (t *Template) render(values map[string]any, limit int) (string, error) {
	s := &state{out: &strings.Builder{}, limit: limit}
	top := &scope{names: maps.Clone(globals)}
	for name, v := range values {
		top.names[name] = s.from(v)
	}
	s.run(t.body, &scope{names: map[string]any{}, outer: top})
	if s.err != nil {
		return "", s.err
	}
	return s.out.String(), nil
}

// from makes a value of the template out of one of Go.
func (s *state) from(v any) any {
	switch v := v.(type) {
	case nil, bool, string:
		return v
	case int:
		return int64(v)
	case []any:
		l := &list{}
		for _, item := range v {
			l.items = append(l.items, s.from(item))
		}
		return l
	case Dict:
		d := newDict()
		for _, p := range v {
			d.set(p.Key, s.from(p.Value))
		}
		return d
	}
	s.fail("a value of type %T is not one of a template", v)
	return nil
}
