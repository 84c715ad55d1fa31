package tokenizer

import (
	"strings"
	"sync"
)

// Tokenizer turns text into ids and back. It may be used by several goroutines
// at once.
type Tokenizer struct {
	tokens []token          // by id; an id that nothing has is a token without text
	ids    map[string]int32 // of added tokens, and by the bytes that others stand for
	names  map[string]int   // of the vocabulary, as the file writes them

	keep      bool // bytes that are no UTF-8 go through as they are (ByteLevel)
	added     [2]matcher
	normalize []normalizer
	steps     []step
	model     model
	inParts   parted   // the model, if it can take a word in parts
	around    template // the special tokens around one text and two
	start     startDecoder

	special map[string]int32 // by role: "eos_token"
	chat    string           // the chat template
	source  []byte           // the tokenizer.json

	mu    sync.RWMutex // guards the field below
	words map[string][]int32
}

type token struct {
	name    string // as the file writes it
	text    string // what it stands for; with a ByteLevel decoder, its bytes
	special bool
	added   bool
}

// maxWords bounds the words whose ids are remembered; natural text and source
// have far fewer that repeat.
const maxWords = 1 << 18

// longWord is where remembering a word stops paying: it will hardly come again.
const longWord = 256

// VocabSize returns the number of ids: the largest plus one.
func (t *Tokenizer) VocabSize() int { return len(t.tokens) }

// ID returns the id of a token, given by the text that it stands for, such as
// "<|endoftext|>" or " the", or as the file writes it, such as "Ġthe" or
// "##ing".
func (t *Tokenizer) ID(text string) (int32, bool) {
	if id, ok := t.ids[text]; ok {
		return id, true
	}
	id, ok := t.names[text]
	return int32(id), ok
}

// Token returns a token as the file writes it: "Ġthe", "##ing", "▁the",
// "<0x0A>"; "" for an id that nothing has.
func (t *Tokenizer) Token(id int32) string {
	if !t.has(id) {
		return ""
	}
	return t.tokens[id].name
}

// IsSpecial reports whether an id is that of a special token, which DecodeText
// leaves out.
func (t *Tokenizer) IsSpecial(id int32) bool { return t.has(id) && t.tokens[id].special }

func (t *Tokenizer) has(id int32) bool { return id >= 0 && int(id) < len(t.tokens) }

// parted is a model that says how much of a word it can encode alone. Parts are
// shorter than words and come again.
type parted interface {
	// first returns the length of the first part: 1 to len(word).
	first(word string) int
}

// whole appends the ids of one word, by its parts if it has some.
func (t *Tokenizer) whole(word string, dst []int32) []int32 {
	for t.inParts != nil && len(word) > 0 {
		n := t.inParts.first(word)
		dst = t.word(word[:n], dst)
		word = word[n:]
	}
	if len(word) > 0 {
		dst = t.word(word, dst)
	}
	return dst
}

// word appends the ids of what is encoded as one.
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

// Decode returns the text that ids stand for, special tokens included, as the
// file's decoder says. An id outside the vocabulary stands for nothing.
// Byte-level tokens give their bytes, whether they are UTF-8 or not.
func (t *Tokenizer) Decode(ids []int32) string { return t.decode(ids, false) }

// DecodeText is Decode without the special tokens.
func (t *Tokenizer) DecodeText(ids []int32) string { return t.decode(ids, true) }

func (t *Tokenizer) decode(ids []int32, skip bool) string {
	var b strings.Builder
	step := t.start(func(text string) { b.WriteString(text) })
	for _, id := range ids {
		if piece, ok := t.piece(id, skip); ok {
			step.push(piece)
		}
	}
	step.end()
	return b.String()
}

// piece returns what the decoder gets for an id; false for one that stands for
// nothing.
func (t *Tokenizer) piece(id int32, skip bool) (string, bool) {
	if !t.has(id) || t.tokens[id].name == "" || skip && t.tokens[id].special {
		return "", false
	}
	return t.tokens[id].text, true
}
