package tokenizer

import (
	"errors"
	"regexp"
	"strings"
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
