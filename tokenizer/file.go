package tokenizer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// FileName is the file of a Hugging Face directory that Open reads.
const FileName = "tokenizer.json"

// Open reads the tokenizer of a Hugging Face directory: tokenizer.json, and the
// end-of-text token from tokenizer_config.json, special_tokens_map.json or
// config.json, the first that names one.
func Open(dir string) (*Tokenizer, error) {
	path := filepath.Join(dir, FileName)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("open tokenizer: %w", err)
	}
	t, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if t.eos, err = endOfText(dir, t); err != nil {
		return nil, err
	}
	return t, nil
}

// Parse reads the content of a tokenizer.json. Truncation and padding settings
// are passed over: lengths are the recipe's.
func Parse(data []byte) (*Tokenizer, error) {
	// The kind first: other kinds of model have other fields.
	var kind struct {
		Model struct {
			Type string `json:"type"`
		} `json:"model"`
	}
	if err := unmarshal(data, &kind); err != nil {
		return nil, err
	}
	if name := kind.Model.Type; name != "" && name != "BPE" {
		return nil, refuse("model", name, "BPE")
	}
	f := file{}
	if err := unmarshal(data, &f); err != nil {
		return nil, err
	}
	if err := f.supported(); err != nil {
		return nil, err
	}
	f.Model.Type = cmp.Or(f.Model.Type, "BPE")
	t, err := f.build()
	if err != nil {
		return nil, err
	}
	t.source = data
	return t, nil
}

// file is a tokenizer.json, as far as it is read.
type file struct {
	AddedTokens   []fileAdded `json:"added_tokens"`
	Normalizer    *part       `json:"normalizer"`
	PreTokenizer  *part       `json:"pre_tokenizer"`
	PostProcessor *part       `json:"post_processor"`
	Decoder       *part       `json:"decoder"`
	Model         *fileModel  `json:"model"`
}

type fileAdded struct {
	ID         int    `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// part is a step before or after the model. Options that it lacks have the
// values that the tokenizers library gives them.
type part struct {
	Type           string `json:"type"`
	AddPrefixSpace *bool  `json:"add_prefix_space"`
	UseRegex       *bool  `json:"use_regex"`
}

// fileMerge is written "a b" in older files, ["a", "b"] in newer ones.
type fileMerge [2]string

func (m *fileMerge) UnmarshalJSON(data []byte) error {
	var list []string
	if data[0] == '"' {
		var s string
		if err := json.Unmarshal(data, &s); err != nil {
			return err
		}
		list = strings.Split(s, " ")
	} else if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	if len(list) != 2 {
		return fmt.Errorf("merge %s: want two tokens, %q or [%q, %q]", data, "a b", "a", "b")
	}
	*m = fileMerge(list)
	return nil
}

// unmarshal is json.Unmarshal with errors that say where.
func unmarshal(data []byte, v any) error {
	err := json.Unmarshal(data, v)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		if int(syntax.Offset) >= len(data) {
			return fmt.Errorf("ends after %d bytes in the middle of its JSON: cut short", len(data))
		}
		return fmt.Errorf("byte %d: %w", syntax.Offset, err)
	case errors.As(err, &kind):
		return fmt.Errorf("byte %d: field %q is a JSON %s, want %v", kind.Offset, kind.Field, kind.Value, kind.Type)
	}
	return err
}

// supported returns an error that names the first thing that this package does
// not do.
func (f *file) supported() error {
	m := f.Model
	switch {
	case m == nil:
		return errors.New(`it has no "model": want byte-level BPE`)
	case m.ByteFallback:
		return errors.New(`model option "byte_fallback" (SentencePiece BPE) is not supported: want byte-level BPE`)
	case m.Dropout != nil && *m.Dropout != 0:
		return fmt.Errorf(`model option "dropout" %v is not supported: ids must not be random`, *m.Dropout)
	case m.ContinuingSubwordPrefix != nil && *m.ContinuingSubwordPrefix != "":
		return fmt.Errorf(`model option "continuing_subword_prefix" %q is not supported`, *m.ContinuingSubwordPrefix)
	case m.EndOfWordSuffix != nil && *m.EndOfWordSuffix != "":
		return fmt.Errorf(`model option "end_of_word_suffix" %q is not supported`, *m.EndOfWordSuffix)
	case f.Normalizer != nil:
		return refuse("normalizer", f.Normalizer.Type, "none")
	case f.PreTokenizer == nil || f.PreTokenizer.Type != byteLevel:
		return refuse("pre_tokenizer", f.PreTokenizer.name(), byteLevel)
	case f.PostProcessor != nil && f.PostProcessor.Type != byteLevel:
		return refuse("post_processor", f.PostProcessor.Type, byteLevel+" or none")
	case f.Decoder == nil || f.Decoder.Type != byteLevel:
		return refuse("decoder", f.Decoder.name(), byteLevel)
	}
	return nil
}

const byteLevel = "ByteLevel"

func refuse(what, have, want string) error {
	return fmt.Errorf("%s %q is not supported: want %s", what, have, want)
}

func (p *part) name() string {
	if p == nil {
		return "null"
	}
	return p.Type
}

func (p *part) option(o *bool) bool { return o == nil || *o }
