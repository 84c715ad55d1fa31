package tokenizer

import (
	"cmp"
	"fmt"
)

// Encoding is one text, or two, with the special tokens around them.
type Encoding struct {
	IDs     []int32
	Types   []int32 // token type ids, one for each of IDs
	Special []bool  // whether the template put it there, one for each of IDs
}

// Truncation says how two texts are made to fit. It has nothing to do with the
// "truncation" of a tokenizer.json, which is passed over.
type Truncation struct {
	// MaxLen is the most tokens, special ones included. 0: no limit.
	MaxLen int
	// Strategy is whose end is cut off: "longest_first" (the default: the
	// longer text's, and then both alike), "only_first" or "only_second".
	Strategy string
}

// SpecialTokens returns how many tokens Single adds; with pair, Pair.
func (t *Tokenizer) SpecialTokens(pair bool) int {
	slots, n := t.around.single, 0
	if pair {
		slots = t.around.pair
	}
	for _, s := range slots {
		n += len(s.ids)
	}
	return n
}

// Single appends the ids of a text to dst with the special tokens that the
// file's post-processor puts around one: <s> A, [CLS] A [SEP], A </s>, or A.
func (t *Tokenizer) Single(ids []int32, dst []int32) []int32 {
	for _, s := range t.around.single {
		if s.text == specialIDs {
			dst = append(dst, s.ids...)
		} else {
			dst = append(dst, ids...)
		}
	}
	return dst
}

// Pair returns two texts with the special tokens around and between them, and
// each token's type.
func (t *Tokenizer) Pair(a, b []int32) (ids, types []int32) {
	e := t.pair(a, b)
	return e.IDs, e.Types
}

func (t *Tokenizer) pair(a, b []int32) Encoding {
	var e Encoding
	for _, s := range t.around.pair {
		ids := s.ids
		if s.text != specialIDs {
			ids = [][]int32{a, b}[s.text]
		}
		for _, id := range ids {
			e.IDs = append(e.IDs, id)
			e.Types = append(e.Types, s.kind)
			e.Special = append(e.Special, s.text == specialIDs)
		}
	}
	return e
}

// EncodePair encodes two texts and cuts them to fit. A text that is to be cut
// must have more tokens than are to go: it is an error otherwise.
func (t *Tokenizer) EncodePair(a, b string, o Truncation) (Encoding, error) {
	x, y := t.Encode(a, nil), t.Encode(b, nil)
	if o.MaxLen > 0 {
		var err error
		if x, y, err = o.cut(x, y, t.SpecialTokens(true)); err != nil {
			return Encoding{}, err
		}
	}
	return t.pair(x, y), nil
}

// cut shortens a pair so that it fits with so many special tokens.
func (o Truncation) cut(a, b []int32, special int) ([]int32, []int32, error) {
	room := o.MaxLen - special
	gone := len(a) + len(b) - room
	if room < 0 {
		return nil, nil, fmt.Errorf("at most %d tokens: the special tokens alone are %d", o.MaxLen, special)
	}
	if gone <= 0 {
		return a, b, nil
	}
	switch cmp.Or(o.Strategy, "longest_first") {
	case "longest_first":
		n, m := longestFirst(len(a), len(b), room)
		return a[:n], b[:m], nil
	case "only_first":
		a, err := shorter(a, gone, "first", o.MaxLen)
		return a, b, err
	case "only_second":
		b, err := shorter(b, gone, "second", o.MaxLen)
		return a, b, err
	}
	return nil, nil, fmt.Errorf("truncation strategy %q: want longest_first, only_first or only_second", o.Strategy)
}

// longestFirst returns the lengths of two texts that share the room: a shorter
// one than half of it keeps its length.
func longestFirst(a, b, room int) (int, int) {
	swapped := a > b
	if swapped {
		a, b = b, a
	}
	if a > room-a {
		a = room / 2
	}
	b = room - a
	if swapped {
		a, b = b, a
	}
	return a, b
}

func shorter(ids []int32, gone int, which string, most int) ([]int32, error) {
	if gone >= len(ids) {
		return nil, fmt.Errorf("at most %d tokens: the %s text has %d, of which %d would have to go", most, which, len(ids), gone)
	}
	return ids[:len(ids)-gone], nil
}
