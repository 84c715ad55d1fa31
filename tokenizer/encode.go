package tokenizer

import (
	"unicode/utf8"
)

// edge says what stands before a stretch of text.
type edge uint8

const (
	inner  edge = iota // an added token, or the text's earlier part
	front              // nothing: the text starts with it
	joined             // another text, which this one goes on
)

// from returns the edge of text[i:], where e is that of text.
func (e edge) from(i int) edge {
	if i > 0 {
		return inner
	}
	return e
}

// Encode appends the ids of text to dst. Added tokens that stand in the text
// are found, special tokens are not put around it: see Single.
func (t *Tokenizer) Encode(text string, dst []int32) []int32 { return t.encode(text, front, dst) }

// EncodeAfter is Encode for text that goes on where another one stops: no space
// is put before it.
func (t *Tokenizer) EncodeAfter(text string, dst []int32) []int32 {
	return t.encode(text, joined, dst)
}

func (t *Tokenizer) encode(text string, at edge, dst []int32) []int32 {
	if !t.keep && !utf8.ValidString(text) {
		text = string([]rune(text)) // one U+FFFD for each byte that is no UTF-8
	}
	return t.stretch(raw, text, at, dst)
}

// The passes over a text: added tokens are found in the text as it is, then the
// stretches between are normalized and others are found in those; what is left
// is cut into words.
const (
	raw = iota
	normalized
	plain
)

// stretch appends the ids of a stretch of text, from a pass on.
func (t *Tokenizer) stretch(pass int, text string, at edge, dst []int32) []int32 {
	switch pass {
	case normalized:
		for _, n := range t.normalize {
			text = n(text, at)
		}
	case plain:
		return t.cut(t.steps, text, at, dst)
	}
	m := &t.added[pass]
	done := 0
	for f, ok := m.find(text, 0, 0); ok; f, ok = m.find(text, done, f.next) {
		if f.from > done {
			dst = t.stretch(pass+1, text[done:f.from], at.from(done), dst)
		}
		dst = append(dst, f.id)
		done = f.to
	}
	if done < len(text) {
		dst = t.stretch(pass+1, text[done:], at.from(done), dst)
	}
	return dst
}

// cut appends the ids of a stretch after cutting it by each step in turn.
func (t *Tokenizer) cut(steps []step, text string, at edge, dst []int32) []int32 {
	if len(steps) == 0 {
		return t.whole(text, dst)
	}
	s := steps[0]
	if s.before != nil {
		text = s.before(text, at)
	}
	if s.all != nil {
		for _, w := range s.all(text) {
			dst = t.cut(steps[1:], text[w[0]:w[1]], at.from(w[0]), dst)
		}
		return dst
	}
	for from := 0; from < len(text); {
		n := s.next(text[from:])
		switch {
		case n < 0: // no word
			from -= n
			continue
		case len(steps) == 1:
			dst = t.whole(text[from:from+n], dst)
		default:
			dst = t.cut(steps[1:], text[from:from+n], at.from(from), dst)
		}
		from += n
	}
	return dst
}
