package tokenizer

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// addedToken is a token that is found in the text before it is cut into words.
type addedToken struct {
	id          int32
	text        string
	left, right bool // lstrip, rstrip: it takes the white space beside it along
	ownWord     bool // single_word: found only where no letter or digit touches it

}

// matcher finds added tokens in text: the leftmost, and of those the longest.
type matcher struct {
	ids     map[string]int32
	byFirst map[byte][]addedToken // longest first
}

func newMatcher(tokens []addedToken) matcher {
	m := matcher{ids: map[string]int32{}, byFirst: map[byte][]addedToken{}}
	for _, a := range tokens {
		m.ids[a.text] = a.id
		m.byFirst[a.text[0]] = append(m.byFirst[a.text[0]], a)
	}
	for _, list := range m.byFirst {
		slices.SortStableFunc(list, func(a, b addedToken) int { return cmp.Compare(len(b.text), len(a.text)) })
	}
	return m
}

// cut appends the ids of text: those of the added tokens in it, and what plain
// makes of the stretches between.
func (m *matcher) cut(text string, dst []int32, plain func(string, []int32) []int32) []int32 {
	done := 0 // up to where text is encoded
	for at := 0; at < len(text); {
		skip := m.next(text[at:])
		if skip < 0 {
			break
		}
		at += skip
		a := m.at(text, at)
		if a == nil {
			at++
			continue
		}
		from, to := a.reach(text, done, at)
		if from > done {
			dst = plain(text[done:from], dst)
		}
		dst = append(dst, a.id)
		done, at = to, max(to, at+1)
	}
	if done < len(text) {
		dst = plain(text[done:], dst)
	}
	return dst
}

// next returns how far the next byte is that could start an added token.
func (m *matcher) next(text string) int {
	if len(m.byFirst) == 0 {
		return -1
	}
	if len(m.byFirst) == 1 { // the usual case, '<'
		for c := range m.byFirst {
			return strings.IndexByte(text, c)
		}
	}
	for i := range len(text) {
		if _, ok := m.byFirst[text[i]]; ok {
			return i
		}
	}
	return -1
}

// at returns the added token that stands at text[at:], or nil.
func (m *matcher) at(text string, at int) *addedToken {
	list := m.byFirst[text[at]]
	for i := range list {
		a := &list[i]
		if strings.HasPrefix(text[at:], a.text) && !(a.ownWord && touched(text, at, at+len(a.text))) {
			return a
		}
	}
	return nil
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

func inWord(r rune) bool {
	return r != utf8.RuneError && (r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r))
}
