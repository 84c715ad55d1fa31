package tokenizer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// unigram writes the pieces as a Unigram model; further ones have score 0.
func (m *spModel) unigram(further []string) object {
	vocab := make([][2]any, 0, len(m.pieces)+len(further))
	for _, p := range m.pieces {
		vocab = append(vocab, [2]any{p.text, float64(p.score)})
	}
	for _, name := range further {
		vocab = append(vocab, [2]any{name, 0.0})
	}
	return object{"type": "Unigram", "unk_id": m.trainer.unk, "vocab": vocab, "byte_fallback": false}
}

// bpe writes the pieces as a BPE model.
func (m *spModel) bpe() object {
	return object{
		"type": "BPE", "dropout": nil, "unk_token": m.pieces[m.trainer.unk].text,
		"continuing_subword_prefix": nil, "end_of_word_suffix": nil,
		"fuse_unk": true, "byte_fallback": true, "ignore_merges": false,
		"vocab": m.vocab(), "merges": m.merges(),
	}
}

// vocab writes the pieces in the order of their ids, which a map would not
// keep.
func (m *spModel) vocab() json.RawMessage {
	var b strings.Builder
	for id, p := range m.pieces {
		fmt.Fprintf(&b, "%s%s:%d", comma(id), quote(p.text), id)
	}
	return json.RawMessage("{" + b.String() + "}")
}

// spMerge is a way to make a piece of two others.
type spMerge struct {
	left, right           string
	leftID, rightID       int
	score                 float32 // of what they make
	leftRunes, rightRunes int
}

// merges derives the list of merges, which the model does not have: it joins
// the two pieces that make the one with the highest score. So each way to cut a
// piece into two is a merge, and the piece's score its place. Where scores are
// equal (so are those of all special tokens), the longer left side goes first,
// then the longer right side, then the order of the pieces.
func (m *spModel) merges() [][2]string {
	ids := make(map[string]int, len(m.pieces))
	for id, p := range m.pieces {
		ids[p.text] = id
	}
	var all []spMerge
	for _, p := range m.pieces {
		all = append(all, p.merges(ids)...)
	}
	slices.SortStableFunc(all, func(a, b spMerge) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(b.leftRunes, a.leftRunes), cmp.Compare(b.rightRunes, a.rightRunes))
	})
	names := make([][2]string, len(all))
	for i, w := range all {
		names[i] = [2]string{w.left, w.right}
	}
	return names
}

// merges returns the ways to make the piece of two others, in the order of
// their ids.
func (p spPiece) merges(ids map[string]int) []spMerge {
	var ways []spMerge
	for at := range p.text {
		left, right := p.text[:at], p.text[at:]
		leftID, lok := ids[left]
		rightID, rok := ids[right]
		if lok && rok {
			ways = append(ways, spMerge{left, right, leftID, rightID, p.score, utf8.RuneCountInString(left), utf8.RuneCountInString(right)})
		}
	}
	slices.SortFunc(ways, func(a, b spMerge) int {
		return cmp.Or(cmp.Compare(a.leftID, b.leftID), cmp.Compare(a.rightID, b.rightID))
	})
	return ways
}
