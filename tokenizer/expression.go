package tokenizer

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/dlclark/regexp2/v2"
)

// expression makes a finder of a regular expression, written for Oniguruma as
// the tokenizers library reads it. Where the standard library means the same by
// it, that one is taken: its time is linear. Any other is matched with
// backtracking, whose time is what the file's expression makes of it; no limit
// is set to it, since the text that a limit leaves uncut would get the wrong
// ids.
func expression(expr string) (finder, error) {
	if linear(expr) {
		if re, err := regexp.Compile(expr); err == nil {
			return func(text string) [][]int { return re.FindAllStringIndex(text, -1) }, nil
		}
	}
	same, err := translate(expr)
	if err != nil {
		return nil, fmt.Errorf("option \"pattern\": expression %q: %w", expr, err)
	}
	re, err := regexp2.Compile(same, regexp2.Multiline, regexp2.OptionMaxBacktrackingStackSize(-1))
	if err != nil {
		return nil, fmt.Errorf("option \"pattern\": expression %q: %w", expr, err)
	}
	return func(text string) [][]int {
		found, _ := re.FindAllStringIndex(text, -1) // its only error is a limit
		return found
	}, nil
}

// linear reports whether the standard library reads an expression as Oniguruma
// does: there are only letters, repetitions and escaped signs in it.
func linear(expr string) bool {
	for i := 0; i < len(expr); i++ {
		if expr[i] == '\\' && i+1 < len(expr) && ascii[expr[i+1]&0x7f] == sign {
			i++
		} else if strings.IndexByte(`\^$[?.`, expr[i]) >= 0 {
			return false
		}
	}
	return true
}

// translation is an expression on its way to the other library's syntax.
type translation struct {
	expr  string
	at    int
	out   strings.Builder
	depth int // of classes, one in the other
}

// translate writes an expression so that the matching library means by it what
// Oniguruma means: \w is every letter, mark and digit; classes may stand in
// classes. What it cannot write so is an error, and not matched otherwise.
func translate(expr string) (string, error) {
	t := &translation{expr: expr}
	for t.at < len(expr) {
		if err := t.next(); err != nil {
			return "", fmt.Errorf("at byte %d: %w", t.at, err)
		}
	}
	return t.out.String(), nil
}

// next translates what stands at t.at, and goes past it.
func (t *translation) next() error {
	rest := t.expr[t.at:]
	switch {
	case rest[0] == '\\':
		return t.escape(rest)
	case t.depth > 0:
		return t.inClass(rest)
	case rest[0] == '[':
		t.depth++
		n := 1 + strings.Count(rest[1:min(2, len(rest))], "^")
		if strings.HasPrefix(rest[n:], "]") {
			return fmt.Errorf("a class that starts with ] is not supported")
		}
		t.take(n)
		return nil
	case strings.HasPrefix(rest, "(?"):
		return t.group(rest)
	case strings.HasPrefix(rest, "{,"):
		return fmt.Errorf("{, is not supported: want {0,")
	}
	t.take(1)
	return nil
}

func (t *translation) take(n int) {
	t.out.WriteString(t.expr[t.at : t.at+n])
	t.at += n
}

// wordClass is \w in a class: Alphabetic, Mark, Decimal_Number and
// Connector_Punctuation (https://www.unicode.org/reports/tr18/, annex C), and
// six numbers of Latin-1 as well.
const wordClass = `\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}Ⓐ-ⓩ🄰-🅉🅐-🅩🅰-🆉²³¹¼-¾`

func (t *translation) escape(rest string) error {
	if len(rest) < 2 {
		return fmt.Errorf("it ends with a backslash")
	}
	c := rest[1]
	switch {
	case c == 'w' && t.depth > 0:
		t.out.WriteString(wordClass)
	case c == 'w':
		t.out.WriteString("[" + wordClass + "]")
	case c == 'W' && t.depth == 0:
		t.out.WriteString("[^" + wordClass + "]")
	case ascii[c&0x7f] != letter && ascii[c&0x7f] != number, strings.IndexByte("dDsSpPrntfvaeux", c) >= 0, strings.IndexByte("bBAz", c) >= 0 && t.depth == 0:
		t.take(2)
		return nil
	default:
		return fmt.Errorf("\\%c is not supported", c)
	}
	t.at += 2
	return nil
}

// inClass translates within a class. The classes in it are one with it.
func (t *translation) inClass(rest string) error {
	switch {
	case strings.HasPrefix(rest, "&&"):
		return fmt.Errorf("&& is not supported")
	case strings.HasPrefix(rest, "[:"), strings.HasPrefix(rest, "[^"), strings.HasPrefix(rest, "[]"):
		return fmt.Errorf("%s is not supported in a class", rest[:2])
	case rest[0] == '[':
		t.depth++
		t.at++
		return nil
	case rest[0] == ']':
		t.depth--
		if t.depth > 0 {
			t.at++
			return nil
		}
	}
	t.take(1)
	return nil
}

// group translates the start of a group that has options.
func (t *translation) group(rest string) error {
	for _, start := range []string{"(?:", "(?=", "(?!", "(?<=", "(?<!", "(?>", "(?i:", "(?i)", "(?-i:"} {
		if strings.HasPrefix(rest, start) {
			t.take(len(start))
			return nil
		}
	}
	return fmt.Errorf("the group %.4s is not supported", rest)
}
