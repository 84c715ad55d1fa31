package jinja

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

type tokenKind int

const (
	tokenEnd       tokenKind = iota // of the template
	tokenText                       // outside tags
	tokenBlock                      // {%
	tokenBlockEnd                   // %}
	tokenOutput                     // {{
	tokenOutputEnd                  // }}
	tokenName
	tokenString
	tokenInt
	tokenFloat
	tokenOp
)

// token is the smallest part of a template.
type token struct {
	kind tokenKind
	text string // strings: what stands between the quotes, decoded
	line int
}

// String names a token for errors.
func (t token) String() string {
	switch t.kind {
	case tokenEnd:
		return "the end of the template"
	case tokenText:
		return "text"
	case tokenBlock:
		return "{%"
	}
	return fmt.Sprintf("%q", t.text)
}

// lexer cuts a template into tokens.
type lexer struct {
	src       string
	pos, line int
	lineStart bool // what was read last ends a line
	tokens    []token
}

var (
	rawBegin = regexp.MustCompile(`^\{%[-+]?\s*raw\s*(-?)%\}`)
	rawEnd   = regexp.MustCompile(`\{%([-+]?)\s*endraw\s*([-+]?)%\}`)
	word     = regexp.MustCompile(`^[\pL_][\pL\pN_]*`)
	number   = regexp.MustCompile(`^[0-9][0-9_]*(\.[0-9][0-9_]*)?([eE][-+]?[0-9]+)?`)
	quoted   = regexp.MustCompile(`^(?s:'([^'\\]*(?:\\.[^'\\]*)*)'|"([^"\\]*(?:\\.[^"\\]*)*)")`)
	operator = regexp.MustCompile(`^(==|!=|>=|<=|//|\*\*|[-+/*%~\[\](){}<>=.:|,])`)
)

// lex cuts a template into tokens. Newlines become \n, and one at the end is
// dropped.
func lex(source string) ([]token, error) {
	source = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(source)
	l := &lexer{src: strings.TrimSuffix(source, "\n"), line: 1, lineStart: true}
	for l.pos < len(l.src) {
		if err := l.next(); err != nil {
			return nil, fmt.Errorf("line %d: %w", l.line, err)
		}
	}
	l.add(tokenEnd, "")
	return l.tokens, nil
}

func (l *lexer) add(kind tokenKind, text string) {
	l.tokens = append(l.tokens, token{kind, text, l.line})
}

// take goes on by n bytes, which it returns.
func (l *lexer) take(n int) string {
	text := l.src[l.pos : l.pos+n]
	l.pos += n
	l.line += strings.Count(text, "\n")
	return text
}

// next reads text up to a tag, and the tag.
func (l *lexer) next() error {
	rest := l.src[l.pos:]
	at := 0
	for ; at < len(rest); at++ {
		if rest[at] == '{' && at+1 < len(rest) && strings.IndexByte("{%#", rest[at+1]) >= 0 {
			break
		}
	}
	if at == len(rest) {
		l.text(l.take(at))
		return nil
	}
	kind, sign := rest[at+1], byte(0)
	if at+2 < len(rest) && (rest[at+2] == '-' || rest[at+2] == '+') {
		sign = rest[at+2]
	}
	l.text(l.trimBefore(l.take(at), kind == '{', sign))
	if m := rawBegin.FindStringSubmatch(rest[at:]); m != nil {
		l.take(len(m[0]))
		return l.raw(m[1] == "-")
	}
	l.take(2)
	if sign != 0 {
		l.take(1)
	}
	switch kind {
	case '#':
		return l.comment()
	case '{':
		l.add(tokenOutput, "{{")
		return l.tag(tokenOutputEnd, "}}")
	}
	l.add(tokenBlock, "{%")
	return l.tag(tokenBlockEnd, "%}")
}

func (l *lexer) text(text string) {
	if text != "" {
		l.add(tokenText, text)
	}
}

// trimBefore drops the white space before a tag: all for "-", else the
// indentation of a line that begins with a block or a comment.
func (l *lexer) trimBefore(text string, output bool, sign byte) string {
	if sign == '-' {
		return strings.TrimRightFunc(text, isSpace)
	}
	begin := strings.LastIndexByte(text, '\n') + 1
	if output || sign == '+' || begin == 0 && !l.lineStart || strings.TrimLeftFunc(text[begin:], isSpace) != "" {
		return text
	}
	return text[:begin]
}

// trimAfter passes over the white space after a tag: all for "-", else the
// newline that ends a block or a comment.
func (l *lexer) trimAfter(output bool, sign string) {
	rest := l.src[l.pos:]
	switch {
	case sign == "-":
		l.take(len(rest) - len(strings.TrimLeftFunc(rest, isSpace)))
	case sign == "" && !output && strings.HasPrefix(rest, "\n"):
		l.take(1)
	}
	l.lineStart = l.src[l.pos-1] == '\n'
}

// comment passes over a comment.
func (l *lexer) comment() error {
	n := strings.Index(l.src[l.pos:], "#}")
	if n < 0 {
		return fmt.Errorf("comment {# without #}")
	}
	text, sign := l.take(n+2), ""
	if n > 0 && (text[n-1] == '-' || text[n-1] == '+') {
		sign = text[n-1 : n]
	}
	l.trimAfter(false, sign)
	return nil
}

// raw reads what stands up to {% endraw %} as text.
func (l *lexer) raw(trim bool) error {
	if trim {
		l.trimAfter(true, "-")
	}
	l.lineStart = l.src[l.pos-1] == '\n'
	m := rawEnd.FindStringSubmatchIndex(l.src[l.pos:])
	if m == nil {
		return fmt.Errorf("{%% raw %%} without {%% endraw %%}")
	}
	rest := l.src[l.pos:]
	begin, end := rest[m[2]:m[3]], rest[m[4]:m[5]]
	sign := byte(0)
	if begin != "" {
		sign = begin[0]
	}
	l.text(l.trimBefore(l.take(m[0]), false, sign))
	l.take(m[1] - m[0])
	l.trimAfter(false, end)
	return nil
}

// tag reads the tokens of a tag up to its end, which is not looked for inside
// brackets.
func (l *lexer) tag(end tokenKind, closer string) error {
	open := 0
	for {
		rest := l.src[l.pos:]
		l.take(len(rest) - len(strings.TrimLeftFunc(rest, isSpace)))
		rest = l.src[l.pos:]
		if rest == "" {
			return fmt.Errorf("a tag without %s", closer)
		}
		if sign, ok := endsTag(rest, closer); ok && open == 0 {
			l.add(end, closer)
			l.take(len(sign) + len(closer))
			l.trimAfter(end == tokenOutputEnd, sign)
			return nil
		}
		if err := l.inside(rest); err != nil {
			return err
		}
		switch last := l.tokens[len(l.tokens)-1]; {
		case last.kind == tokenOp && strings.Contains("([{", last.text):
			open++
		case last.kind == tokenOp && strings.Contains(")]}", last.text):
			open--
		}
	}
}

// endsTag says whether a tag ends here, and with which sign.
func endsTag(rest, closer string) (sign string, ok bool) {
	if strings.HasPrefix(rest, closer) {
		return "", true
	}
	if rest[0] == '-' || rest[0] == '+' && closer == "%}" {
		return rest[:1], strings.HasPrefix(rest[1:], closer)
	}
	return "", false
}

// inside reads one token of a tag.
func (l *lexer) inside(rest string) error {
	if m := word.FindString(rest); m != "" {
		l.add(tokenName, l.take(len(m)))
		return nil
	}
	if m := number.FindString(rest); m != "" {
		kind := tokenInt
		if strings.ContainsAny(m, ".eE") {
			kind = tokenFloat
		}
		l.add(kind, strings.ReplaceAll(l.take(len(m)), "_", ""))
		return nil
	}
	if m := quoted.FindStringSubmatch(rest); m != nil {
		text, err := unescape(m[1] + m[2])
		if err != nil {
			return err
		}
		l.add(tokenString, text)
		l.take(len(m[0]))
		return nil
	}
	if m := operator.FindString(rest); m != "" {
		l.add(tokenOp, l.take(len(m)))
		return nil
	}
	return fmt.Errorf("unexpected %.10q in a tag", rest)
}

// isSpace says what Python takes for white space.
func isSpace(r rune) bool { return unicode.IsSpace(r) || r >= 0x1c && r <= 0x1f }
