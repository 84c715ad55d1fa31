package jinja

// macro is {% macro name(a, b=1) %}.
type macro struct {
	line   int
	name   string
	params []param
	body   []node
}

type param struct {
	name string
	def  expr // nil: not given is undefined
}

func (n *macro) exec(_ *state, c *scope) { c.names[n.name] = n.function(c, nil) }

// function is the macro as a value: a call of it returns what it writes. caller
// is the body of the call tag, nil outside of one.
func (n *macro) function(c *scope, caller any) *function {
	f := &function{name: n.name, macro: func(caller any) *function { return n.function(c, caller) }}
	f.fn = func(s *state, a args) any {
		defer s.leave()
		if !s.enter() {
			return nil
		}
		inner := c.inside()
		if caller != nil {
			inner.names["caller"] = caller
		}
		given := a.bind(s, n.name, n.names()...)
		for i, p := range n.params {
			switch {
			case given[i] != missing{}:
				inner.names[p.name] = given[i]
			case p.def != nil:
				inner.names[p.name] = p.def.eval(s, inner)
			default:
				inner.names[p.name] = undefined{p.name}
			}
		}
		line := s.line
		text := s.capture(func() { s.run(n.body, inner) })
		s.line = line
		return text
	}
	return f
}

func (n *macro) names() []string {
	var names []string
	for _, p := range n.params {
		names = append(names, p.name)
	}
	return names
}

// callBlock is {% call macro() %}: the macro's caller() writes the body.
type callBlock struct {
	line   int
	call   *call
	caller *macro
}

func (n *callBlock) exec(s *state, c *scope) {
	s.line = n.line
	f, ok := n.call.fn.eval(s, c).(*function)
	if !ok || f.macro == nil {
		s.fail("{%% call %%} wants the call of a macro")
		return
	}
	caller := n.caller.function(c, nil)
	s.write(s.str(f.macro(caller).fn(s, n.call.given(s, c))))
}
