package tokenizer

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/dlclark/regexp2/v2"
)

// filePattern is what Split and Replace look for: {"String": …} or {"Regex": …}.
type filePattern struct {
	String *string `json:"String"`
	Regex  *string `json:"Regex"`
}

// replaceOptions are those of a Replace, normalizer or decoder.
type replaceOptions struct {
	Pattern filePattern `json:"pattern"`
	Content string      `json:"content"`
}

// finder returns where a pattern matches in a text, [from, to) of each in order.
type finder func(text string) [][]int

// finder makes a finder of the pattern.
func (p filePattern) finder() (finder, error) {
	switch {
	case p.String != nil && p.Regex == nil && *p.String != "":
		return expression(regexp.QuoteMeta(*p.String))
	case p.Regex != nil && p.String == nil:
		return expression(*p.Regex)
	}
	return nil, errors.New(`option "pattern": want {"String": "some text"} or {"Regex": "an expression"}`)
}

// expression makes a finder of a regular expression, as Oniguruma reads it.
// Where the standard library means the same by it, that one is taken: its time
// is linear. Any other is matched with backtracking, whose time is what the
// file's expression makes of it; no limit is set to it, since the text that a
// limit leaves uncut would get the wrong ids.
func expression(expr string) (finder, error) {
	if linear(expr) {
		if re, err := regexp.Compile(expr); err == nil {
			return func(text string) [][]int { return re.FindAllStringIndex(text, -1) }, nil
		}
	}
	re, err := regexp2.Compile(expr, regexp2.Multiline, regexp2.OptionMaxBacktrackingStackSize(-1)) // ^ and $ are about lines
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

// newReplacer makes a function that puts content, as it is, in the place of
// each match.
func newReplacer(pattern filePattern, content string) (func(string) string, error) {
	find, err := pattern.finder()
	if err != nil {
		return nil, err
	}
	if pattern.String != nil {
		return func(text string) string { return strings.ReplaceAll(text, *pattern.String, content) }, nil
	}
	return func(text string) string {
		var b strings.Builder
		done := 0
		for _, m := range find(text) {
			b.WriteString(text[done:m[0]])
			b.WriteString(content)
			done = m[1]
		}
		b.WriteString(text[done:])
		return b.String()
	}, nil
}
