package tokenizer

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// FileName is the file of a Hugging Face directory that Open reads.
const FileName = "tokenizer.json"

// Open reads the tokenizer of a Hugging Face directory: tokenizer.json, or where
// there is none the SentencePiece model tokenizer.model or spiece.model; then
// tokenizer_config.json, special_tokens_map.json, config.json and
// chat_template.jinja, as far as they are there: see config.
func Open(dir string) (*Tokenizer, error) {
	path, data, names, err := find(dir)
	if err != nil {
		return nil, err
	}
	c, err := readConfig(dir)
	if err != nil {
		return nil, err
	}
	f, err := parseFile(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	c.model = names
	if err := c.change(f); err != nil {
		return nil, err
	}
	t, err := f.build()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	t.source, t.chat = data, c.chat
	return t, c.name(t)
}

// find returns a directory's tokenizer.json, or the one that stands for its
// SentencePiece model, and the special tokens which that one names.
func find(dir string) (path string, data []byte, names map[string]string, err error) {
	path = filepath.Join(dir, FileName)
	data, err = os.ReadFile(path)
	if err == nil {
		return path, data, nil, nil
	}
	for _, name := range sentencePieceNames {
		other := filepath.Join(dir, name)
		if _, missing := os.Stat(other); errors.Is(err, fs.ErrNotExist) && missing == nil {
			data, names, err = sentencePieceFile(other)
			return other, data, names, err
		}
	}
	if _, missing := os.Stat(dir); missing != nil {
		err = missing
	} else if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s has no %s, %s", dir, FileName, strings.Join(sentencePieceNames, " or "))
	}
	return path, nil, nil, fmt.Errorf("open tokenizer: %w", err)
}

// Parse reads the content of a tokenizer.json. Truncation and padding settings
// are passed over: lengths are the recipe's.
func Parse(data []byte) (*Tokenizer, error) {
	f, err := parseFile(data)
	if err != nil {
		return nil, err
	}
	t, err := f.build()
	if err != nil {
		return nil, err
	}
	t.source = data
	return t, nil
}

func parseFile(data []byte) (*file, error) {
	f := new(file)
	if err := unmarshalAll(data, f); err != nil {
		return nil, err
	}
	if m := f.Model; m != nil {
		m.Type = cmp.Or(m.Type, "BPE")
	}
	return f, nil
}

// file is a tokenizer.json.
type file struct {
	Version       json.RawMessage `json:"version"`
	Truncation    json.RawMessage `json:"truncation"` // not read: lengths are the recipe's
	Padding       json.RawMessage `json:"padding"`    // the same
	AddedTokens   []fileAdded     `json:"added_tokens"`
	Normalizer    *part           `json:"normalizer"`
	PreTokenizer  *part           `json:"pre_tokenizer"`
	PostProcessor *part           `json:"post_processor"`
	Decoder       *part           `json:"decoder"`
	Model         *fileModel      `json:"model"`
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

// unmarshalAll is unmarshal, with an error for a key that nothing here reads.
func unmarshalAll(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	if err != nil {
		if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			return fmt.Errorf("option %s is not supported", name)
		}
	}
	if err != nil || len(bytes.TrimSpace(data[d.InputOffset():])) > 0 {
		return unmarshal(data, v) // which says where
	}
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
	case errors.As(err, &kind) && kind.Field == "":
		return fmt.Errorf("a JSON %s, want an object", kind.Value)
	case errors.As(err, &kind):
		return fmt.Errorf("byte %d: field %q is a JSON %s, want %s", kind.Offset, kind.Field, kind.Value, inWords(kind.Type))
	}
	return err
}

// inWords is a type of Go as a user of JSON knows it.
func inWords(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.String:
		return "a string"
	case reflect.Int:
		return "a whole number"
	case reflect.Slice:
		return "a list"
	}
	return "an object"
}
