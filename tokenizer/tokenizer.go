package tokenizer

import (
	"strings"
	"sync"
)

// Tokenizer turns text into ids and back. It may be used by several goroutines
// at once.
type Tokenizer struct {
	tokens []token          // by id; an id that nothing has is a token without text
	ids    map[string]int32 // of the vocabulary, by the bytes that the token stands for
	model  model
	added  [2]matcher // tokens found in the text itself: before and after normalizing
	split  splitter
	prefix bool   // a space is put before text that does not start with one
	eos    int32  // -1: none
	source []byte // the tokenizer.json

	mu    sync.RWMutex // guards the field below
	words map[string][]int32
}

type token struct {
	text    string // the bytes it stands for
	special bool
	added   bool
}

// maxWords bounds the words whose ids are remembered; natural text and source
// have far fewer that repeat.
const maxWords = 1 << 18

// VocabSize returns the number of ids: the largest plus one.
func (t *Tokenizer) VocabSize() int { return len(t.tokens) }

// EOS returns the id that ends a text, if the directory names one.
func (t *Tokenizer) EOS() (int32, bool) { return t.eos, t.eos >= 0 }

// ID returns the id of a token, given by the text that it stands for, such as
// "<|endoftext|>" or " the".
func (t *Tokenizer) ID(text string) (int32, bool) {
	for i := range t.added {
		if id, ok := t.added[i].ids[text]; ok {
			return id, true
		}
	}
	id, ok := t.ids[text]
	return id, ok
}

// Encode appends the ids of text to dst. Special tokens that stand in the text
// are found, none is added.
func (t *Tokenizer) Encode(text string, dst []int32) []int32 {
	return t.added[0].cut(text, dst, func(text string, dst []int32) []int32 {
		return t.added[1].cut(text, dst, t.plain)
	})
}

// plain appends the ids of text in which no added token stands.
func (t *Tokenizer) plain(text string, dst []int32) []int32 {
	if t.prefix && !strings.HasPrefix(text, " ") {
		text = " " + text
	}
	for len(text) > 0 {
		n := t.split(text)
		dst = t.word(text[:n], dst)
		text = text[n:]
	}
	return dst
}

// word appends the ids of one word.
func (t *Tokenizer) word(word string, dst []int32) []int32 {
	t.mu.RLock()
	ids, ok := t.words[word]
	t.mu.RUnlock()
	if ok {
		return append(dst, ids...)
	}
	from := len(dst)
	dst = t.model.encode(word, dst)
	t.remember(word, dst[from:])
	return dst
}

// longWord is where remembering a word stops paying: it will hardly come again.
const longWord = 256

func (t *Tokenizer) remember(word string, ids []int32) {
	if len(word) > longWord {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.words) >= maxWords {
		clear(t.words)
	}
	// Clones: the word is part of a text that should not be kept alive.
	t.words[strings.Clone(word)] = append([]int32(nil), ids...)
}

// Decode returns the bytes that ids stand for, special tokens included. An id
// outside the vocabulary stands for nothing.
func (t *Tokenizer) Decode(ids []int32) string { return t.decode(ids, false) }

// DecodeText is Decode without the special tokens.
func (t *Tokenizer) DecodeText(ids []int32) string { return t.decode(ids, true) }

func (t *Tokenizer) decode(ids []int32, skip bool) string {
	var b strings.Builder
	for _, id := range ids {
		if id >= 0 && int(id) < len(t.tokens) && !(skip && t.tokens[id].special) {
			b.WriteString(t.tokens[id].text)
		}
	}
	return b.String()
}
