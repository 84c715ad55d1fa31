package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// endOfText returns the id that ends a text, -1 if no file of the directory
// names one. Files that are not there are passed over.
func endOfText(dir string, t *Tokenizer) (int32, error) {
	for _, name := range []string{"tokenizer_config.json", "special_tokens_map.json", "config.json"} {
		path := filepath.Join(dir, name)
		data, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return -1, err
		}
		id, err := endOfTextIn(data, t)
		if err != nil {
			return -1, fmt.Errorf("%s: %w", path, err)
		}
		if id >= 0 {
			return id, nil
		}
	}
	return -1, nil
}

// endOfTextIn reads one of the files: eos_token names the token, as a string or
// as {"content": …}; config.json's eos_token_id is an id or a list of them, of
// which the first counts.
func endOfTextIn(data []byte, t *Tokenizer) (int32, error) {
	var f struct {
		Token json.RawMessage `json:"eos_token"`
		ID    json.RawMessage `json:"eos_token_id"`
	}
	if err := unmarshal(data, &f); err != nil {
		return -1, err
	}
	if name := tokenText(f.Token); name != "" {
		id, ok := t.ID(name)
		if !ok {
			return -1, fmt.Errorf("eos_token %q is no token of %s", name, FileName)
		}
		return id, nil
	}
	return eosID(f.ID, t.VocabSize())
}

func tokenText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	var object struct {
		Content string `json:"content"`
	}
	if json.Unmarshal(raw, &object) == nil {
		return object.Content
	}
	return ""
}

func eosID(raw json.RawMessage, vocab int) (int32, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return -1, nil
	}
	var ids []int
	var id int
	if json.Unmarshal(raw, &id) == nil {
		ids = []int{id}
	} else if json.Unmarshal(raw, &ids) != nil || len(ids) == 0 {
		return -1, fmt.Errorf("eos_token_id %s: want an id or a list of ids", raw)
	}
	if ids[0] < 0 || ids[0] >= vocab {
		return -1, fmt.Errorf("eos_token_id %d: want an id of the vocabulary, 0 to %d", ids[0], vocab-1)
	}
	return int32(ids[0]), nil
}
