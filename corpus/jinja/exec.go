package jinja

import (
	"errors"
	"fmt"
	"strings"
)

// node is a part of a template that writes text or sets names.
type node interface{ exec(*state, *scope) }

// scope holds the names that are set in a tag that has names of its own.
type scope struct {
	names map[string]any
	outer *scope
}

func (c *scope) inside() *scope { return &scope{map[string]any{}, c} }

// get returns what a name stands for.
func (c *scope) get(name string) any {
	for ; c != nil; c = c.outer {
		if v, ok := c.names[name]; ok {
			return v
		}
	}
	return undefined{name}
}

// state is one rendering. It keeps the first error; after it nothing is done.
type state struct {
	out   *strings.Builder
	line  int
	steps int // done
	limit int // of steps
	depth int
	jump  jump
	err   error
}

// fail keeps the first error, with the line it is on.
func (s *state) fail(format string, args ...any) {
	if s.err == nil {
		s.err = fmt.Errorf("line %d: %w", s.line, fmt.Errorf(format, args...))
	}
}

var errWork = errors.New("too much work for a chat template: does it end?")

// spend counts work, and says whether there may be more of it.
func (s *state) spend(steps int) bool {
	if s.steps += steps; s.steps > s.limit || steps > s.limit {
		s.fail("%w", errWork)
	}
	return s.err == nil
}

// made counts the work of making a text.
func (s *state) made(text string) string {
	if s.room(len(text)) {
		return text
	}
	return ""
}

// room counts the work of making n bytes before they are made.
func (s *state) room(n int) bool {
	if n > maxText {
		s.fail("a text of more than %d bytes", maxText)
	}
	return s.spend(n / 256)
}

// enter goes one deeper, and says whether that is allowed; each is followed by a
// leave.
func (s *state) enter() bool {
	if s.depth++; s.depth > maxDepth {
		s.fail("macros or values inside each other deeper than %d", maxDepth)
	}
	return s.err == nil
}

func (s *state) leave() { s.depth-- }

// run executes nodes until one of them breaks off.
func (s *state) run(nodes []node, c *scope) {
	for _, n := range nodes {
		if !s.spend(1) || s.jump != "" {
			return
		}
		n.exec(s, c)
	}
}

// capture returns what run would write.
func (s *state) capture(run func()) string {
	outer := s.out
	s.out = &strings.Builder{}
	run()
	text := s.out.String()
	s.out = outer
	return text
}

// write adds to what the template or a tag around makes.
func (s *state) write(text string) {
	if s.out.Len()+len(text) > maxText {
		s.fail("a text of more than %d bytes", maxText)
	} else if s.room(len(text)) {
		s.out.WriteString(text)
	}
}

// text stands outside tags.
type text string

func (n text) exec(s *state, _ *scope) { s.write(string(n)) }

// output is {{ value }}.
type output struct {
	line  int
	value expr
}

func (n *output) exec(s *state, c *scope) {
	s.line = n.line
	s.write(s.str(n.value.eval(s, c)))
}

type ifElse struct {
	line    int
	test    expr
	yes, no []node
}

func (n *ifElse) exec(s *state, c *scope) {
	s.line = n.line
	if truth(n.test.eval(s, c)) {
		s.run(n.yes, c)
	} else {
		s.run(n.no, c)
	}
}

// jump is a break or a continue, on its way to its loop.
type jump string

func (n jump) exec(s *state, _ *scope) { s.jump = n }

// set is {% set a, b = value %} and {% set namespace.field = value %}.
type set struct {
	line    int
	targets []string
	field   string
	value   expr
}

func (n *set) exec(s *state, c *scope) {
	s.line = n.line
	n.assign(s, c, n.value.eval(s, c))
}

func (n *set) assign(s *state, c *scope, value any) {
	if n.field == "" {
		s.assign(c, n.targets, value)
		return
	}
	space, ok := c.get(n.targets[0]).(*namespace)
	if !ok {
		s.fail("%s.%s cannot be set: only fields of a namespace() can", n.targets[0], n.field)
		return
	}
	space.set(n.field, value)
}

// assign gives a value to a name, or its items to several.
func (s *state) assign(c *scope, targets []string, value any) {
	if len(targets) == 1 {
		c.names[targets[0]] = value
		return
	}
	items := s.items(value)
	if len(items) != len(targets) && s.err == nil {
		s.fail("%d values for %d names", len(items), len(targets))
	}
	for i, name := range targets[:min(len(items), len(targets))] {
		c.names[name] = items[i]
	}
}

// body is the name by which filters see the text of a tag's body; no template
// can write it.
const body = " body"

// captureSet is {% set name %}text{% endset %}.
type captureSet struct {
	set  *set
	body []node
}

func (n *captureSet) exec(s *state, c *scope) {
	n.set.assign(s, c, s.filterBody(n.set.value, n.body, c))
}

// filterBody returns what a tag's body writes, after the filters of the tag.
func (s *state) filterBody(filters expr, nodes []node, c *scope) any {
	inner := c.inside()
	text := s.capture(func() { s.run(nodes, inner) })
	return filters.eval(s, &scope{map[string]any{body: text}, c})
}

// filterTag is {% filter name %}text{% endfilter %}.
type filterTag struct {
	value expr
	body  []node
}

func (n *filterTag) exec(s *state, c *scope) { s.write(s.str(s.filterBody(n.value, n.body, c))) }

// with is {% with a = 1 %}, and any body with names of its own.
type with struct {
	line   int
	names  []string
	values []expr
	body   []node
}

func (n *with) exec(s *state, c *scope) {
	s.line = n.line
	inner := c.inside()
	for i, name := range n.names {
		inner.names[name] = n.values[i].eval(s, c)
	}
	s.run(n.body, inner)
}
