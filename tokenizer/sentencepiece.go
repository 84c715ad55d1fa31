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
	"strings"
)

// sentencePieceNames are the names under which directories keep a SentencePiece
// model. It is read where there is no tokenizer.json.
var sentencePieceNames = []string{"tokenizer.model", "spiece.model"}

// sentencePieceFile reads a SentencePiece model and returns the tokenizer.json
// that stands for it, and the texts of its special tokens by the names that
// tokenizer_config.json uses for them ("eos_token").
//
// The model alone does not say how a family uses it: what goes before and after
// a text, and which further tokens there are. The tokenizer's class says so,
// which tokenizer_config.json names, or the model's type in config.json. Where
// neither is there, BPE is taken for Llama's and unigram without a token that
// begins a text for T5's. Another class is an error, since each changes ids in
// its own way.
func sentencePieceFile(path string) ([]byte, map[string]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, fmt.Errorf("open tokenizer: %w", err)
	}
	m, err := parseSP(data)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	c, err := readSPConfig(filepath.Dir(path))
	if err != nil {
		return nil, nil, err
	}
	f, err := m.file(c)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return f.json(), m.specials(), nil
}

// spConfig is what the files beside a model say about its use. What is missing
// or null has the class's value.
type spConfig struct {
	Class       string               `json:"tokenizer_class"`
	Legacy      *bool                `json:"legacy"`
	AddBOS      *bool                `json:"add_bos_token"`
	AddEOS      *bool                `json:"add_eos_token"`
	PrefixSpace *bool                `json:"add_prefix_space"`
	ExtraIDs    *int                 `json:"extra_ids"`
	BOS         json.RawMessage      `json:"bos_token"`
	EOS         json.RawMessage      `json:"eos_token"`
	Added       map[string]fileAdded `json:"added_tokens_decoder"` // by id
	modelType   string               // of config.json
}

func readSPConfig(dir string) (spConfig, error) {
	var c spConfig
	if err := readJSON(filepath.Join(dir, "tokenizer_config.json"), &c); err != nil {
		return c, err
	}
	var model struct {
		Type string `json:"model_type"`
	}
	if err := readJSON(filepath.Join(dir, "config.json"), &model); err != nil {
		return c, err
	}
	c.modelType = model.Type
	// The form of old: no attributes, so not what ids come of them.
	old := filepath.Join(dir, "added_tokens.json")
	if _, err := os.Stat(old); err == nil && c.Added == nil {
		return c, fmt.Errorf("%s is not supported without a tokenizer.json: want added_tokens_decoder in tokenizer_config.json", old)
	}
	return c, nil
}

// readJSON reads a file that need not be there.
func readJSON(path string, into any) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = unmarshal(data, into)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// file converts the model as its class does.
func (m *spModel) file(c spConfig) (*spFile, error) {
	class, err := m.class(c)
	if err != nil {
		return nil, err
	}
	if class == classT5 {
		return m.t5(c)
	}
	return m.llama(c)
}

// Classes of tokenizers.
const (
	classLlama = "LlamaTokenizer"
	classT5    = "T5Tokenizer"
)

var spClasses = map[string]string{"llama": classLlama, "mistral": classLlama, "mixtral": classLlama, "t5": classT5, "mt5": classT5}

func (m *spModel) class(c spConfig) (string, error) {
	class := strings.TrimSuffix(c.Class, "Fast")
	switch {
	case class == classLlama || class == classT5:
		return class, nil
	case class != "" && class != "PreTrainedTokenizer":
		return "", refuse("tokenizer_class", c.Class, "LlamaTokenizer or T5Tokenizer, or a tokenizer.json")
	case spClasses[c.modelType] != "":
		return spClasses[c.modelType], nil
	case c.modelType != "":
		return "", refuse("a SentencePiece model for model_type", c.modelType, "llama, mistral, mixtral, t5 or mt5, or a tokenizer.json")
	case m.trainer.model == spBPE:
		return classLlama, nil
	case m.trainer.bos < 0:
		return classT5, nil
	}
	return "", errors.New("a unigram model that neither tokenizer_config.json nor config.json tells the class of: want tokenizer_class T5Tokenizer, or a tokenizer.json")
}

// specials returns the special tokens that the model names.
func (m *spModel) specials() map[string]string {
	names := map[string]string{}
	for name, id := range map[string]int32{"unk_token": m.trainer.unk, "bos_token": m.trainer.bos, "eos_token": m.trainer.eos, "pad_token": m.trainer.pad} {
		if id >= 0 && int(id) < len(m.pieces) && (m.pieces[id].kind == spControl || id == m.trainer.unk) {
			names[name] = m.pieces[id].text
		}
	}
	return names
}

// object is a JSON object to be written.
type object map[string]any

// spFile is a tokenizer.json to be written.
type spFile struct {
	Version       string      `json:"version"`
	Truncation    any         `json:"truncation"`
	Padding       any         `json:"padding"`
	Added         []fileAdded `json:"added_tokens"`
	Normalizer    object      `json:"normalizer"`
	PreTokenizer  object      `json:"pre_tokenizer"`
	PostProcessor object      `json:"post_processor"`
	Decoder       object      `json:"decoder"`
	Model         any         `json:"model"`
}

func (f *spFile) json() []byte {
	f.Version = "1.0"
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	e.Encode(f) // of strings and numbers: it can always be encoded
	return b.Bytes()
}

// orName returns the token that a configuration names, as a string or as
// {"content": …}, or the class's where it names none.
func orName(raw json.RawMessage, otherwise string) string {
	return cmp.Or(tokenText(raw), otherwise)
}
