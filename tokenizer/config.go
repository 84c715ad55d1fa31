package tokenizer

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// config is what the files beside a tokenizer.json say about it. They are
// followed as the fast tokenizers of transformers follow them: some of what
// they say replaces what tokenizer.json says.
type config struct {
	file    string // tokenizer_config.json's path
	there   bool   // whether there is one
	class   string // of tokenizers, "LlamaTokenizer"; "" if nothing tells
	tokens  tokenizerConfig
	named   []named           // who names special tokens: the first counts
	model   map[string]string // and the SentencePiece model, after them
	ids     map[string]json.RawMessage
	idsPath string
	chat    string
}

// tokenizerConfig is a tokenizer_config.json, as far as it is read.
type tokenizerConfig struct {
	Class        string               `json:"tokenizer_class"`
	AddBOS       *bool                `json:"add_bos_token"`
	AddEOS       *bool                `json:"add_eos_token"`
	PrefixSpace  json.RawMessage      `json:"add_prefix_space"`
	Lowercase    *bool                `json:"do_lower_case"`
	StripAccents *bool                `json:"strip_accents"`
	Chinese      *bool                `json:"tokenize_chinese_chars"`
	Added        map[string]fileAdded `json:"added_tokens_decoder"` // by id
	Chat         json.RawMessage      `json:"chat_template"`
}

// named is a file's special tokens, by role.
type named struct {
	path  string
	roles map[string]json.RawMessage
}

// roles are the special tokens that files name.
var roles = []string{"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"}

func readConfig(dir string) (*config, error) {
	c := &config{file: filepath.Join(dir, "tokenizer_config.json"), idsPath: filepath.Join(dir, "config.json")}
	_, err := os.Stat(c.file)
	c.there = err == nil
	if err := readJSON(c.file, &c.tokens); err != nil {
		return nil, err
	}
	for _, path := range []string{c.file, filepath.Join(dir, "special_tokens_map.json")} {
		n := named{path: path}
		if err := readJSON(path, &n.roles); err != nil {
			return nil, err
		}
		c.named = append(c.named, n)
	}
	if err := readJSON(c.idsPath, &c.ids); err != nil {
		return nil, err
	}
	c.class = c.findClass()
	for _, n := range c.named {
		if err := n.check(); err != nil {
			return nil, err
		}
	}
	c.chat, err = c.tokens.template(dir)
	return c, err
}

// findClass returns the class of the tokenizer, or of the model's tokenizers.
func (c *config) findClass() string {
	var class, kind string
	json.Unmarshal(c.ids["tokenizer_class"], &class) // no string: not there
	json.Unmarshal(c.ids["model_type"], &kind)
	class = cmp.Or(c.tokens.Class, class, classes[kind])
	return strings.TrimSuffix(class, "Fast")
}

// template returns the chat template: that of a file of its own, or the string
// in tokenizer_config.json, or of a list there the one named "default".
func (c *tokenizerConfig) template(dir string) (string, error) {
	data, err := os.ReadFile(filepath.Join(dir, "chat_template.jinja"))
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return string(data), err
	}
	var text string
	if len(c.Chat) == 0 || json.Unmarshal(c.Chat, &text) == nil {
		return text, nil
	}
	var list []struct{ Name, Template string }
	if json.Unmarshal(c.Chat, &list) != nil {
		return "", fmt.Errorf("%s: chat_template: want a string, or a list of {\"name\": …, \"template\": …}", filepath.Join(dir, "tokenizer_config.json"))
	}
	for _, entry := range list {
		if entry.Name == "default" {
			text = entry.Template
		}
	}
	return text, nil
}

// change makes of a tokenizer.json what the configuration says.
func (c *config) change(f *file) error {
	if f.Model == nil {
		return nil
	}
	if err := c.addTokens(f); err != nil {
		return err
	}
	if err := c.addNamed(f); err != nil {
		return err
	}
	if c.there && f.PreTokenizer.name() == byteLevel && string(c.tokens.PrefixSpace) != "null" {
		f.PreTokenizer.set("add_prefix_space", string(c.tokens.PrefixSpace) == "true")
	}
	if families[c.class].bert && f.Normalizer.name() == "BertNormalizer" {
		f.Normalizer.set("lowercase", isTrue(c.tokens.Lowercase, true))
		f.Normalizer.set("strip_accents", c.tokens.StripAccents)
		f.Normalizer.set("handle_chinese_chars", isTrue(c.tokens.Chinese, true))
	}
	if families[c.class].template && string(c.tokens.PrefixSpace) == "false" && (f.PreTokenizer.mentions("Metaspace") || f.Normalizer.mentions("Prepend")) {
		return fmt.Errorf("%s: add_prefix_space false is not supported where %s puts a space before a text: want a %s without", c.file, FileName, FileName)
	}
	return nil
}

// addTokens takes over the added tokens, which may be others than those of
// tokenizer.json, or have other options.
func (c *config) addTokens(f *file) error {
	for key, a := range c.tokens.Added {
		id, err := strconv.Atoi(key)
		if err != nil {
			return fmt.Errorf("%s: added_tokens_decoder: %q is no id", c.file, key)
		}
		a.ID = id
		if err := f.add(a); err != nil {
			return fmt.Errorf("%s: added_tokens_decoder: %w", c.file, err)
		}
	}
	slices.SortFunc(f.AddedTokens, func(a, b fileAdded) int { return cmp.Compare(a.ID, b.ID) })
	return nil
}

// add puts an added token into the list, in the place of one with its text.
func (f *file) add(a fileAdded) error {
	id, ok := f.Model.Vocab.ids[a.Content]
	for i, have := range f.AddedTokens {
		if have.Content == a.Content {
			id, ok = have.ID, true
			f.AddedTokens[i] = a
		}
	}
	if ok && id != a.ID {
		return fmt.Errorf("%q has id %d, in %s %d", a.Content, a.ID, FileName, id)
	}
	if !slices.Contains(f.AddedTokens, a) {
		f.AddedTokens = append(f.AddedTokens, a)
	}
	return nil
}

// addNamed makes the special tokens that are named, and so far only words of
// the vocabulary, added tokens: they are found in text.
func (c *config) addNamed(f *file) error {
	for _, n := range c.named {
		for _, a := range n.tokens() {
			known := func(have fileAdded) bool { return have.Content == a.Content }
			if id, ok := f.Model.Vocab.ids[a.Content]; ok && !slices.ContainsFunc(f.AddedTokens, known) {
				a.ID, a.Special = id, true
				f.AddedTokens = append(f.AddedTokens, a)
			}
		}
	}
	return nil
}

// check returns an error for a special token that is named in no known way.
func (n named) check() error {
	for _, role := range roles {
		if raw := n.roles[role]; len(raw) > 0 && string(raw) != "null" && string(raw) != `""` && tokenText(raw) == "" {
			return fmt.Errorf("%s: %s %.80s: want a string, null or {\"content\": …}", n.path, role, raw)
		}
	}
	return nil
}

// tokens returns the special tokens that a file names.
func (n named) tokens() (all []fileAdded) {
	list := []json.RawMessage{}
	json.Unmarshal(n.roles["additional_special_tokens"], &list) // no list: none
	for _, role := range roles {
		list = append(list, n.roles[role])
	}
	for _, raw := range list {
		a := fileAdded{Content: tokenText(raw)}
		json.Unmarshal(raw, &a) // a string has no options
		if a.Content != "" {
			all = append(all, a)
		}
	}
	return all
}

// tokenText returns a token that is named as a string or as {"content": …}; ""
// for anything else.
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
