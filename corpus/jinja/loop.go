package jinja

// forLoop is {% for target in values if filter %}.
type forLoop struct {
	line    int
	targets []string
	in      expr
	filter  expr
	body    []node
	empty   []node // what is written where there are no values
}

func (n *forLoop) exec(s *state, c *scope) {
	s.line = n.line
	items := n.chosen(s, c, s.items(n.in.eval(s, c)))
	if len(items) == 0 {
		s.run(n.empty, c)
		return
	}
	for i := range items {
		if s.err != nil {
			return
		}
		inner := c.inside()
		inner.names["loop"] = &loop{items, i}
		s.assign(inner, n.targets, items[i])
		s.run(n.body, inner)
		last := s.jump
		s.jump = ""
		if last == "break" {
			return
		}
	}
}

// chosen returns the items that pass the loop's filter.
func (n *forLoop) chosen(s *state, c *scope, items []any) []any {
	if n.filter == nil {
		return items
	}
	var kept []any
	for _, item := range items {
		inner := c.inside()
		s.assign(inner, n.targets, item)
		if s.spend(1) && truth(n.filter.eval(s, inner)) {
			kept = append(kept, item)
		}
	}
	return kept
}

// loop is what a loop tells about itself.
type loop struct {
	items []any
	i     int
}

// field returns loop.index and its like.
func (l *loop) field(name string) any {
	n := len(l.items)
	switch name {
	case "index":
		return int64(l.i + 1)
	case "index0":
		return int64(l.i)
	case "revindex":
		return int64(n - l.i)
	case "revindex0":
		return int64(n - l.i - 1)
	case "length":
		return int64(n)
	case "depth": // of recursion, which there is none of
		return int64(1)
	case "depth0":
		return int64(0)
	case "first":
		return l.i == 0
	case "last":
		return l.i == n-1
	case "previtem":
		return l.at(l.i-1, name)
	case "nextitem":
		return l.at(l.i+1, name)
	case "cycle":
		return &function{name: name, fn: func(s *state, a args) any {
			if len(a.plain) == 0 {
				s.fail("loop.cycle without values")
				return nil
			}
			return a.plain[l.i%len(a.plain)]
		}}
	}
	return undefined{"loop." + name}
}

func (l *loop) at(i int, name string) any {
	if i < 0 || i >= len(l.items) {
		return undefined{"loop." + name}
	}
	return l.items[i]
}
