package tokenizer

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// wordPiece is BERT's model: of a word the longest token that it starts with,
// then of the rest the longest token that goes on a word ("##ing"), and so on.
// A word in which this gets stuck, or which is too long, is the unknown token.
type wordPiece struct {
	starts, goes *trie // tokens that start a word; that go on one, without their prefix
	unknown      int32
	maxChars     int
}

func newWordPiece(f *fileModel) (model, error) {
	if f.UnkToken == nil || f.ContinuingSubwordPrefix == nil || f.MaxInputCharsPerWord == nil {
		return nil, errors.New("model: WordPiece wants unk_token, continuing_subword_prefix and max_input_chars_per_word")
	}
	unknown, ok := f.Vocab.ids[*f.UnkToken]
	if !ok {
		return nil, fmt.Errorf("model.unk_token: %q is no token of model.vocab", *f.UnkToken)
	}
	goes := map[string]int{}
	for name, id := range f.Vocab.ids {
		if rest, ok := strings.CutPrefix(name, *f.ContinuingSubwordPrefix); ok {
			goes[rest] = id
		}
	}
	return &wordPiece{newTrie(f.Vocab.ids), newTrie(goes), int32(unknown), *f.MaxInputCharsPerWord}, nil
}

func (m *wordPiece) encode(word string, dst []int32) []int32 {
	from := len(dst)
	if utf8.RuneCountInString(word) > m.maxChars {
		return append(dst, m.unknown)
	}
	tokens := m.starts
	for len(word) > 0 {
		id, n := tokens.longest(word)
		if n == 0 {
			return append(dst[:from], m.unknown)
		}
		dst, word, tokens = append(dst, id), word[n:], m.goes
	}
	return dst
}
