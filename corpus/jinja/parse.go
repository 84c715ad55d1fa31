package jinja

import (
	"fmt"
	"slices"
)

// parser makes a tree of tokens. It keeps the first error; after it every token
// is the end, so that parsing stops by itself.
type parser struct {
	tokens []token
	pos    int
	depth  int
	loops  int // around what is parsed, for break and continue
	err    error
}

// fail keeps the first error, with the line it is on.
func (p *parser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("line %d: %w", p.tokens[p.pos].line, fmt.Errorf(format, args...))
	}
}

func (p *parser) peek() token {
	if p.err != nil {
		return token{}
	}
	return p.tokens[p.pos]
}

func (p *parser) next() token {
	t := p.peek()
	if t.kind != tokenEnd {
		p.pos++
	}
	return t
}

// is says whether the next token is an operator or a name with that text.
func (p *parser) is(text string) bool {
	t := p.peek()
	return (t.kind == tokenOp || t.kind == tokenName) && t.text == text
}

// accept passes over that token, if it is the next one.
func (p *parser) accept(text string) bool {
	ok := p.is(text)
	if ok {
		p.pos++
	}
	return ok
}

func (p *parser) want(text string) {
	if !p.accept(text) {
		p.fail("%s where %q is wanted", p.peek(), text)
	}
}

func (p *parser) wantKind(kind tokenKind, what string) token {
	if t := p.peek(); t.kind != kind {
		p.fail("%s where %s is wanted", t, what)
	}
	return p.next()
}

func (p *parser) name() string { return p.wantKind(tokenName, "a name").text }

// deeper is an error where brackets and tags are nested too deep. Each call is
// followed by a deferred shallower.
func (p *parser) deeper() {
	if p.depth++; p.depth > maxDepth {
		p.fail("nested deeper than %d", maxDepth)
	}
}

func (p *parser) shallower() { p.depth-- }

// body parses nodes up to a tag that ends them, one of ends, whose name it leaves
// to be read.
func (p *parser) body(ends ...string) []node {
	p.deeper()
	defer p.shallower()
	var nodes []node
	for {
		switch t := p.next(); t.kind {
		case tokenEnd:
			if len(ends) > 0 {
				p.fail("no {%% %s %%}", ends[len(ends)-1])
			}
			return nodes
		case tokenText:
			nodes = append(nodes, text(t.text))
		case tokenOutput:
			x := p.tuple()
			p.wantKind(tokenOutputEnd, `"}}"`)
			nodes = append(nodes, &output{t.line, x})
		case tokenBlock:
			if name := p.peek(); name.kind == tokenName && slices.Contains(ends, name.text) {
				return nodes
			}
			nodes = append(nodes, p.statement(t.line))
		default:
			p.fail("%s outside a tag", t)
		}
	}
}

// inner parses what stands between a tag and its end tag, both ends included.
func (p *parser) inner(end string) []node {
	p.endBlock()
	body := p.body(end)
	p.want(end)
	p.endBlock()
	return body
}

func (p *parser) endBlock() { p.wantKind(tokenBlockEnd, `"%}"`) }

// statement parses a block tag, after its {%.
func (p *parser) statement(line int) node {
	switch name := p.name(); name {
	case "if":
		return p.ifTag(line)
	case "for":
		return p.forTag(line)
	case "set":
		return p.setTag(line)
	case "macro":
		return p.macroTag(line)
	case "call":
		return p.callTag(line)
	case "filter":
		return p.filterTag()
	case "with":
		return p.withTag(line)
	case "generation": // marks what an assistant says; written like any other text
		return &with{line: line, body: p.inner("endgeneration")}
	case "break", "continue":
		if p.loops == 0 {
			p.fail("%s outside a loop", name)
		}
		p.endBlock()
		return jump(name)
	default:
		p.fail("tag %q is not known in chat templates", name)
		return nil
	}
}

func (p *parser) ifTag(line int) node {
	n := &ifElse{line: line, test: p.expr()}
	p.endBlock()
	n.yes = p.body("elif", "else", "endif")
	switch {
	case p.accept("elif"):
		p.deeper()
		defer p.shallower()
		n.no = []node{p.ifTag(p.peek().line)}
		return n
	case p.accept("else"):
		n.no = p.inner("endif")
		return n
	}
	p.want("endif")
	p.endBlock()
	return n
}

func (p *parser) forTag(line int) node {
	n := &forLoop{line: line, targets: p.targets()}
	p.want("in")
	n.in = p.orTest()
	if p.is(",") {
		p.fail("a list without brackets after in")
	}
	if p.accept("if") {
		n.filter = p.expr()
	}
	if p.is("recursive") {
		p.fail("recursive loops are not known here")
	}
	p.endBlock()
	p.loops++
	n.body = p.body("else", "endfor")
	p.loops--
	if p.accept("else") {
		n.empty = p.inner("endfor")
		return n
	}
	p.want("endfor")
	p.endBlock()
	return n
}

// targets parses the names that values go to.
func (p *parser) targets() []string {
	if p.accept("(") {
		names := p.targets()
		p.want(")")
		return names
	}
	names := []string{p.target()}
	for p.accept(",") {
		names = append(names, p.target())
	}
	return names
}

func (p *parser) target() string {
	name := p.name()
	if slices.Contains([]string{"true", "false", "none", "True", "False", "None"}, name) {
		p.fail("%q cannot be set", name)
	}
	return name
}

func (p *parser) setTag(line int) node {
	n := &set{line: line, targets: p.targets()}
	if p.accept(".") {
		n.field = p.name()
	}
	if p.accept("=") {
		n.value = p.tuple()
		p.endBlock()
		return n
	}
	n.value = p.filters(&variable{body})
	return &captureSet{n, p.inner("endset")}
}

func (p *parser) macroTag(line int) node {
	n := &macro{line: line, name: p.target()}
	n.params = p.params()
	n.body = p.apart("endmacro")
	return n
}

// params parses the parameters of a macro, with their defaults.
func (p *parser) params() []param {
	var params []param
	p.want("(")
	for p.err == nil && !p.accept(")") {
		if len(params) > 0 {
			p.want(",")
		}
		x := param{name: p.target()}
		if p.accept("=") {
			x.def = p.expr()
		}
		params = append(params, x)
	}
	return params
}

func (p *parser) callTag(line int) node {
	n := &callBlock{line: line, caller: &macro{line: line, name: "caller"}}
	if p.is("(") {
		n.caller.params = p.params()
	}
	x, ok := p.unary(true).(*call)
	if !ok {
		p.fail("{%% call %%} wants the call of a macro")
	}
	n.call = x
	n.caller.body = p.apart("endcall")
	return n
}

// apart parses a body that is run elsewhere than where it stands: it cannot break
// off a loop.
func (p *parser) apart(end string) []node {
	loops := p.loops
	p.loops = 0
	defer func() { p.loops = loops }()
	return p.inner(end)
}

func (p *parser) filterTag() node {
	value := p.filters(p.filter(&variable{body}))
	return &filterTag{value, p.inner("endfilter")}
}

func (p *parser) withTag(line int) node {
	n := &with{line: line}
	for p.err == nil && p.peek().kind == tokenName {
		n.names = append(n.names, p.target())
		p.want("=")
		n.values = append(n.values, p.expr())
		if !p.accept(",") {
			break
		}
	}
	n.body = p.inner("endwith")
	return n
}
