package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
)

// model turns one word, after normalizing and pre-tokenizing, into ids, which
// it appends to dst. The word is not empty; it is valid UTF-8 except for
// byte-level BPE, which gets the bytes as they are. Several goroutines may call
// encode at once. The Tokenizer remembers the ids of words up to longWord
// bytes; a model need not.
type model interface {
	encode(word string, dst []int32) []int32
}

// newModel makes the model that a file describes. bytes says that its tokens
// are bytes written in GPT-2's alphabet (byte-level BPE).
func newModel(f *fileModel, bytes bool) (model, error) {
	switch {
	case f.Dropout != nil && *f.Dropout != 0:
		return nil, fmt.Errorf(`model option "dropout" %v is not supported: ids must not be random`, *f.Dropout)
	case f.Type == "BPE" && bytes:
		return newByteBPE(f)
	case f.Type == "BPE":
		return newCharBPE(f)
	case f.Type == "WordPiece":
		return newWordPiece(f)
	case f.Type == "Unigram":
		return newUnigram(f)
	}
	return nil, refuse("model", f.Type, "BPE, WordPiece or Unigram")
}

// fileModel is the "model" object of a tokenizer.json: all kinds' fields.
type fileModel struct {
	Type                    string      `json:"type"` // "" is BPE: GPT-2's first file has none
	Vocab                   fileVocab   `json:"vocab"`
	Merges                  []fileMerge `json:"merges"`                    // BPE
	Dropout                 *float64    `json:"dropout"`                   // BPE
	UnkToken                *string     `json:"unk_token"`                 // BPE, WordPiece
	ContinuingSubwordPrefix *string     `json:"continuing_subword_prefix"` // BPE, WordPiece
	EndOfWordSuffix         *string     `json:"end_of_word_suffix"`        // BPE
	FuseUnk                 bool        `json:"fuse_unk"`                  // BPE
	ByteFallback            bool        `json:"byte_fallback"`             // BPE, Unigram
	IgnoreMerges            bool        `json:"ignore_merges"`             // BPE
	MaxInputCharsPerWord    *int        `json:"max_input_chars_per_word"`  // WordPiece
	UnkID                   *int        `json:"unk_id"`                    // Unigram
}

// fileVocab is a vocabulary: the ids of tokens (BPE, WordPiece), or pieces with
// scores, whose ids are their places (Unigram; then ids holds them as well).
type fileVocab struct {
	ids    map[string]int
	pieces []filePiece
}

type filePiece struct {
	name  string
	score float64
}

func (v *fileVocab) UnmarshalJSON(data []byte) error {
	if data[0] != '[' {
		return within("model.vocab", json.Unmarshal(data, &v.ids))
	}
	if err := json.Unmarshal(data, &v.pieces); err != nil {
		return err
	}
	v.ids = make(map[string]int, len(v.pieces))
	for id, p := range v.pieces {
		if have, ok := v.ids[p.name]; ok {
			return fmt.Errorf("model.vocab: piece %q stands there twice, at %d and %d", p.name, have, id)
		}
		v.ids[p.name] = id
	}
	return nil
}

// UnmarshalJSON reads ["piece", score].
func (p *filePiece) UnmarshalJSON(data []byte) error {
	var list []json.RawMessage
	if err := json.Unmarshal(data, &list); err != nil || len(list) != 2 {
		return fmt.Errorf("model.vocab: piece %.80s: want [\"piece\", score]", data)
	}
	score, ok := parseScore(list[1])
	if !ok || json.Unmarshal(list[0], &p.name) != nil {
		return fmt.Errorf("model.vocab: piece %.80s: want [\"piece\", score]", data)
	}
	p.score = score
	return nil
}

// within gives a JSON error of a type of its own the field's name.
func within(field string, err error) error {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return fmt.Errorf("field %q is a JSON %s, want %s", field, kind.Value, inWords(kind.Type))
	}
	return err
}

// check returns an error that names an id outside 0 to maxVocab-1.
func (v *fileVocab) check() error {
	for name, id := range v.ids {
		if id < 0 || id >= maxVocab {
			return fmt.Errorf("model.vocab: token %q has id %d, want 0 to %d", name, id, maxVocab-1)
		}
	}
	return nil
}
