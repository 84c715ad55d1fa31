package jinja

import (
	"slices"
	"strconv"
	"strings"
)

// tuple parses an expression, or several with commas between.
func (p *parser) tuple() expr {
	first := p.expr()
	if !p.is(",") {
		return first
	}
	items := []expr{first}
	for p.accept(",") {
		if t := p.peek(); t.kind == tokenOutputEnd || t.kind == tokenBlockEnd || p.is(")") {
			break
		}
		items = append(items, p.expr())
	}
	return &listOf{items, true}
}

// expr parses a whole expression: a if test else b.
func (p *parser) expr() expr {
	p.deeper()
	defer p.shallower()
	x := p.orTest()
	for p.accept("if") {
		c := &choice{test: p.orTest(), yes: x}
		if p.accept("else") {
			c.no = p.expr()
		}
		x = c
	}
	return x
}

func (p *parser) orTest() expr {
	x := p.andTest()
	for p.accept("or") {
		x = &logic{or: true, a: x, b: p.andTest()}
	}
	return x
}

func (p *parser) andTest() expr {
	x := p.notTest()
	for p.accept("and") {
		x = &logic{a: x, b: p.notTest()}
	}
	return x
}

func (p *parser) notTest() expr {
	if !p.accept("not") {
		return p.comparison()
	}
	p.deeper()
	defer p.shallower()
	return &not{p.notTest()}
}

// comparison parses a < b < c, in and not in.
func (p *parser) comparison() expr {
	first := p.sum()
	c := &compare{first: first}
	for {
		t := p.peek()
		op := t.text
		switch {
		case t.kind == tokenOp && slices.Contains([]string{"==", "!=", "<", "<=", ">", ">="}, op), p.is("in"):
			p.next()
		case p.is("not") && p.tokens[p.pos+1].text == "in":
			p.next()
			p.next()
			op = "not in"
		default:
			if len(c.rest) == 0 {
				return first
			}
			return c
		}
		c.rest = append(c.rest, operand{op, p.sum()})
	}
}

// binary parses operators that bind equally, from the left.
func (p *parser) binary(operand func() expr, ops ...string) expr {
	x := operand()
	for {
		t := p.peek()
		if t.kind != tokenOp || !slices.Contains(ops, t.text) {
			return x
		}
		p.next()
		x = &arithmetic{t.text, x, operand()}
	}
}

func (p *parser) sum() expr     { return p.binary(p.joined, "+", "-") }
func (p *parser) joined() expr  { return p.binary(p.product, "~") }
func (p *parser) product() expr { return p.binary(p.power, "*", "/", "//", "%") }
func (p *parser) power() expr {
	return p.binary(func() expr { return p.unary(true) }, "**")
}

// unary parses a sign, or a primary with all that follows it.
func (p *parser) unary(filters bool) expr {
	p.deeper()
	defer p.shallower()
	var x expr
	switch {
	case p.accept("-"):
		x = &arithmetic{"-", constant{int64(0)}, p.unary(false)}
	case p.accept("+"):
		x = &arithmetic{"+", constant{int64(0)}, p.unary(false)}
	default:
		x = p.postfix(p.primary())
	}
	if filters {
		x = p.filters(x)
	}
	return x
}

func (p *parser) primary() expr {
	switch t := p.next(); {
	case t.kind == tokenName:
		return p.word(t)
	case t.kind == tokenString:
		text := t.text
		for p.peek().kind == tokenString {
			text += p.next().text
		}
		return constant{text}
	case t.kind == tokenInt:
		n, err := strconv.ParseInt(t.text, 10, 64)
		if err != nil || len(t.text) > 1 && t.text[0] == '0' && strings.Trim(t.text, "0") != "" {
			p.fail("%q is not a whole number of this package", t.text)
		}
		return constant{n}
	case t.kind == tokenFloat:
		n, err := strconv.ParseFloat(t.text, 64)
		if err != nil {
			p.fail("%q is not a number", t.text)
		}
		return constant{n}
	case t.kind == tokenOp && t.text == "(":
		return p.brackets()
	case t.kind == tokenOp && t.text == "[":
		return &listOf{p.items("]"), false}
	case t.kind == tokenOp && t.text == "{":
		return p.dict()
	default:
		p.fail("%s where a value is wanted", t)
		return constant{nil}
	}
}

// word parses a name, of which some are values.
func (p *parser) word(t token) expr {
	switch t.text {
	case "true", "True":
		return constant{true}
	case "false", "False":
		return constant{false}
	case "none", "None":
		return constant{nil}
	case "not", "and", "or", "in", "is", "if", "else":
		p.fail("%s where a value is wanted", t)
	}
	return &variable{t.text}
}

// brackets parses (a) and (a, b), after its bracket.
func (p *parser) brackets() expr {
	if p.accept(")") {
		return &listOf{nil, true}
	}
	x := p.tuple()
	p.want(")")
	return x
}

// items parses expressions with commas between, up to a bracket.
func (p *parser) items(end string) []expr {
	var items []expr
	for p.err == nil && !p.accept(end) {
		if len(items) > 0 {
			p.want(",")
			if p.accept(end) {
				break
			}
		}
		items = append(items, p.expr())
	}
	return items
}

func (p *parser) dict() expr {
	d := &dictOf{}
	for p.err == nil && !p.accept("}") {
		if len(d.keys) > 0 {
			p.want(",")
			if p.accept("}") {
				break
			}
		}
		d.keys = append(d.keys, p.expr())
		p.want(":")
		d.values = append(d.values, p.expr())
	}
	return d
}

// postfix parses what follows a value: fields, items and calls.
func (p *parser) postfix(x expr) expr {
	for {
		switch {
		case p.accept("."):
			if t := p.next(); t.kind == tokenInt {
				n, _ := strconv.ParseInt(t.text, 10, 64)
				x = &item{x, constant{n}}
			} else if t.kind == tokenName {
				x = &field{x, t.text}
			} else {
				p.fail("%s where the name of a field is wanted", t)
			}
		case p.accept("["):
			x = p.subscript(x)
		case p.accept("("):
			x = &call{x, p.arguments()}
		default:
			return x
		}
	}
}

// subscript parses an item or a slice, after its bracket.
func (p *parser) subscript(x expr) expr {
	var bounds [3]expr
	n := 0
	for p.err == nil && !p.is("]") && n < len(bounds) {
		if p.accept(":") {
			n++
			continue
		}
		bounds[n] = p.expr()
		if !p.is(":") {
			break
		}
	}
	p.want("]")
	if n == 0 {
		if bounds[0] == nil {
			p.fail("nothing between [ and ]")
		}
		return &item{x, bounds[0]}
	}
	return &slice{x, bounds}
}

// arguments parses what is given to a call, after its bracket.
func (p *parser) arguments() []argument {
	var args []argument
	for p.err == nil && !p.accept(")") {
		if len(args) > 0 {
			p.want(",")
			if p.accept(")") {
				break
			}
		}
		if p.is("*") || p.is("**") {
			p.fail("arguments by * and ** are not known here")
		}
		var a argument
		if t := p.peek(); t.kind == tokenName && p.tokens[p.pos+1].kind == tokenOp && p.tokens[p.pos+1].text == "=" {
			p.next()
			p.next()
			a.name = t.text
		} else if len(args) > 0 && args[len(args)-1].name != "" {
			p.fail("an argument without a name after one with a name")
		}
		a.value = p.expr()
		args = append(args, a)
	}
	return args
}

// filters parses filters, tests and calls that follow a value.
func (p *parser) filters(x expr) expr {
	for {
		switch {
		case p.accept("|"):
			x = p.filter(x)
		case p.accept("is"):
			x = p.test(x)
		case p.accept("("):
			x = &call{x, p.arguments()}
		default:
			return x
		}
	}
}

// filter parses the name of a filter and its arguments.
func (p *parser) filter(x expr) expr {
	f := &filtered{value: x, name: p.name()}
	if p.err == nil && filters[f.name] == nil {
		p.fail("filter %q is not known here", f.name)
	}
	if p.accept("(") {
		f.args = p.arguments()
	}
	return f
}

// test parses what follows is.
func (p *parser) test(x expr) expr {
	negated := p.accept("not")
	t := &tested{value: x, name: p.name()}
	if p.err == nil && tests[t.name] == nil {
		p.fail("test %q is not known here", t.name)
	}
	if p.accept("(") {
		t.args = p.arguments()
	} else if p.startsValue() {
		t.args = []argument{{value: p.postfix(p.primary())}}
	}
	if negated {
		return &not{t}
	}
	return t
}

// startsValue says whether a test has one argument without brackets.
func (p *parser) startsValue() bool {
	t := p.peek()
	switch t.kind {
	case tokenName:
		return !slices.Contains([]string{"else", "or", "and", "if", "is", "in", "not", "recursive"}, t.text)
	case tokenString, tokenInt, tokenFloat:
		return true
	}
	return t.kind == tokenOp && strings.Contains("[{", t.text)
}
