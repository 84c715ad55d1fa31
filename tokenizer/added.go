package tokenizer

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// addedToken is a token that is found in the text before it is cut into words.
type addedToken struct {
	id          int32
	text        string // as it stands in the text that it is looked for in
	left, right bool   // lstrip, rstrip: it takes the white space beside it along
	ownWord     bool   // single_word: found only where no letter or digit touches it
}

// matcher finds added tokens in text: the leftmost, and of those the longest.
type matcher struct {
	tokens map[string]addedToken
	byByte [256][]int // the lengths of the tokens that start with a byte, longest first
	only   int        // the one byte that they all start with, -1: several
}

// newMatcher makes a matcher. Of several tokens with one text the first counts.
func newMatcher(tokens []addedToken) matcher {
	m := matcher{tokens: make(map[string]addedToken, len(tokens)), only: -1}
	for _, a := range tokens {
		if _, ok := m.tokens[a.text]; ok {
			continue
		}
		m.tokens[a.text] = a
		m.byByte[a.text[0]] = append(m.byByte[a.text[0]], -len(a.text))
	}
	for c, list := range m.byByte {
		slices.Sort(list)
		m.byByte[c] = slices.Compact(list)
		for i := range m.byByte[c] {
			m.byByte[c][i] *= -1
		}
	}
	if len(tokens) > 0 && !slices.ContainsFunc(tokens, func(a addedToken) bool { return a.text[0] != tokens[0].text[0] }) {
		m.only = int(tokens[0].text[0])
	}
	return m
}

// found is an added token that stands in a text, with what it takes along.
type found struct {
	id       int32
	from, to int
	next     int // where to look on
}

// find returns the first added token at text[at:] or later. What it takes along
// on its left ends at done.
func (m *matcher) find(text string, done, at int) (found, bool) {
	for len(m.tokens) > 0 && at < len(text) {
		n := m.skip(text[at:])
		if n < 0 {
			break
		}
		at += n
		a, ok := m.at(text[at:])
		switch {
		case !ok:
			at++
		case a.ownWord && touched(text, at, at+len(a.text)): // nor is a shorter one looked for
			at += len(a.text)
		default:
			f := found{id: a.id, next: at + len(a.text)}
			f.from, f.to = a.reach(text, done, at)
			return f, true
		}
	}
	return found{}, false
}

// skip returns how far the next byte is that could start an added token, -1 if
// there is none.
func (m *matcher) skip(text string) int {
	if m.only >= 0 {
		return strings.IndexByte(text, byte(m.only))
	}
	for i := range len(text) {
		if m.byByte[text[i]] != nil {
			return i
		}
	}
	return -1
}

// at returns the longest added token that text starts with.
func (m *matcher) at(text string) (addedToken, bool) {
	for _, n := range m.byByte[text[0]] {
		if n <= len(text) {
			if a, ok := m.tokens[text[:n]]; ok {
				return a, true
			}
		}
	}
	return addedToken{}, false
}

// reach returns what the token found at text[at:] takes, white space included,
// but nothing before done.
func (a *addedToken) reach(text string, done, at int) (from, to int) {
	from, to = at, at+len(a.text)
	if a.left {
		from = max(done, len(strings.TrimRightFunc(text[:at], unicode.IsSpace)))
	}
	if a.right {
		to = len(text) - len(strings.TrimLeftFunc(text[to:], unicode.IsSpace))
	}
	return from, to
}

// touched reports whether a letter, digit or underscore stands right before or
// after text[from:to].
func touched(text string, from, to int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:from])
	after, _ := utf8.DecodeRuneInString(text[to:])
	return inWord(before) || inWord(after)
}

// inWord is the class \w (https://www.unicode.org/reports/tr18/, annex C).
func inWord(r rune) bool {
	if r < utf8.RuneSelf {
		return r == '_' || ascii[r] == letter || ascii[r] == number
	}
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Join_Control, unicode.Other_Alphabetic, letters16, numbers16)
}
