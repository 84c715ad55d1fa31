package tokenizer

import (
	"encoding/json"
	"fmt"
)

// EOS returns the id that ends a text, if the directory names one.
func (t *Tokenizer) EOS() (int32, bool) { return t.role("eos_token") }

// BOS returns the id that begins a text, if the directory names one.
func (t *Tokenizer) BOS() (int32, bool) { return t.role("bos_token") }

// PAD returns the id of padding, if the directory names one.
func (t *Tokenizer) PAD() (int32, bool) { return t.role("pad_token") }

// UNK returns the id of what the vocabulary has no token for, if the directory
// names one.
func (t *Tokenizer) UNK() (int32, bool) { return t.role("unk_token") }

// SEP returns the id that separates two texts, if the directory names one.
func (t *Tokenizer) SEP() (int32, bool) { return t.role("sep_token") }

// CLS returns the id that stands for a text when it is classified, if the
// directory names one.
func (t *Tokenizer) CLS() (int32, bool) { return t.role("cls_token") }

// MASK returns the id of a hidden token, if the directory names one.
func (t *Tokenizer) MASK() (int32, bool) { return t.role("mask_token") }

func (t *Tokenizer) role(name string) (int32, bool) {
	id, ok := t.special[name]
	return id, ok
}

// SpecialText returns the special token of a role as chat templates name it:
// "bos_token" gives "<s>". "" if the directory names none.
func (t *Tokenizer) SpecialText(name string) string {
	if id, ok := t.special[name]; ok {
		return t.Token(id)
	}
	return ""
}

// ChatTemplate returns the directory's chat template: that of
// chat_template.jinja, or of tokenizer_config.json, there as a string or as the
// entry "default" of a list. "" if there is none.
func (t *Tokenizer) ChatTemplate() string { return t.chat }

// name sets the special tokens by role, as the first of these says:
// tokenizer_config.json, special_tokens_map.json, the SentencePiece model,
// config.json (by id), the class of tokenizers. Some classes also have a
// template of their own.
func (c *config) name(t *Tokenizer) error {
	for _, role := range roles {
		id, ok, err := c.role(t, role)
		if err != nil {
			return err
		}
		if ok {
			t.special[role] = id
		}
	}
	if family := families[c.class]; family.template {
		return c.setTemplate(t, family)
	}
	return nil
}

// role finds a special token. Naming one that there is not is an error.
func (c *config) role(t *Tokenizer, role string) (int32, bool, error) {
	for _, n := range c.named {
		if name := tokenText(n.roles[role]); name != "" {
			id, ok := t.ID(name)
			if !ok {
				return 0, false, fmt.Errorf("%s: %s %q is no token of %s", n.path, role, name, FileName)
			}
			return id, true, nil
		}
	}
	if id, ok := t.ID(c.model[role]); ok {
		return id, true, nil
	}
	id, ok, err := roleID(role+"_id", c.ids[role+"_id"], t.VocabSize())
	if err != nil {
		return 0, false, fmt.Errorf("%s: %w", c.idsPath, err)
	}
	if ok {
		return id, true, nil
	}
	id, ok = t.ID(families[c.class].tokens[role])
	return id, ok, nil
}

// roleID reads an id or a list of ids, of which the first counts. -1 is none.
func roleID(field string, raw json.RawMessage, vocab int) (int32, bool, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return 0, false, nil
	}
	var ids []int
	var id int
	if json.Unmarshal(raw, &id) == nil {
		ids = []int{id}
	} else if json.Unmarshal(raw, &ids) != nil || len(ids) == 0 {
		return 0, false, fmt.Errorf("%s %s: want an id or a list of ids", field, raw)
	}
	if ids[0] == -1 {
		return 0, false, nil
	}
	if ids[0] < 0 || ids[0] >= vocab {
		return 0, false, fmt.Errorf("%s %d: want an id of the vocabulary, 0 to %d", field, ids[0], vocab-1)
	}
	return int32(ids[0]), true, nil
}

// setTemplate puts the tokens that begin and end a text around it: for classes
// that go by add_bos_token and add_eos_token, whatever tokenizer.json says.
func (c *config) setTemplate(t *Tokenizer, f family) error {
	var before, after []int32
	for _, x := range []struct {
		flag string
		set  bool
		role string
		ids  *[]int32
	}{
		{"add_bos_token", isTrue(c.tokens.AddBOS, f.bos), "bos_token", &before},
		{"add_eos_token", isTrue(c.tokens.AddEOS, false), "eos_token", &after},
	} {
		id, ok := t.special[x.role]
		if x.set && !ok {
			return fmt.Errorf("%s: %s, but no file names the %s", c.file, x.flag, x.role)
		}
		if x.set {
			*x.ids = []int32{id}
		}
	}
	single := []slot{{text: specialIDs, ids: before}, {text: 0}, {text: specialIDs, ids: after}}
	pair := append(single[:3:3], slot{text: specialIDs, ids: before, kind: 1}, slot{text: 1, kind: 1}, slot{text: specialIDs, ids: after, kind: 1})
	t.around = template{single, pair}
	return nil
}

// family is a class of tokenizers that has something of its own.
type family struct {
	tokens   map[string]string // the special tokens that no file need name
	template bool              // add_bos_token and add_eos_token say what stands around a text
	bos      bool              // add_bos_token where nothing is said
	bert     bool              // do_lower_case and its like replace the normalizer's options
}

var (
	bertFamily = family{bert: true, tokens: map[string]string{
		"unk_token": "[UNK]", "sep_token": "[SEP]", "pad_token": "[PAD]", "cls_token": "[CLS]", "mask_token": "[MASK]"}}
	llamaFamily = family{template: true, bos: true, tokens: map[string]string{
		"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}}
)

// families are the classes, as transformers 4.57 has them.
var families = map[string]family{
	"BertTokenizer":        bertFamily,
	"ConvBertTokenizer":    bertFamily,
	"DistilBertTokenizer":  bertFamily,
	"ElectraTokenizer":     bertFamily,
	"LayoutLMTokenizer":    bertFamily,
	"LxmertTokenizer":      bertFamily,
	"MobileBertTokenizer":  bertFamily,
	"SqueezeBertTokenizer": bertFamily,
	"LlamaTokenizer":       llamaFamily,
	"CodeLlamaTokenizer":   llamaFamily,
	"GemmaTokenizer": {template: true, bos: true, tokens: map[string]string{
		"unk_token": "<unk>", "bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>"}},
	"CohereTokenizer": {template: true, bos: true, tokens: map[string]string{
		"unk_token": "<UNK>", "bos_token": "<BOS_TOKEN>", "eos_token": "<|END_OF_TURN_TOKEN|>"}},
	"GPTNeoXTokenizer": {template: true, tokens: map[string]string{
		"unk_token": "<|endoftext|>", "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}},
	"GPT2Tokenizer": {tokens: map[string]string{
		"unk_token": "<|endoftext|>", "bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}},
	"Qwen2Tokenizer": {tokens: map[string]string{
		"unk_token": "<|endoftext|>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}},
	"T5Tokenizer": {tokens: map[string]string{
		"unk_token": "<unk>", "eos_token": "</s>", "pad_token": "<pad>"}},
	"RobertaTokenizer": {tokens: map[string]string{
		"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "sep_token": "</s>", "cls_token": "<s>", "pad_token": "<pad>", "mask_token": "<mask>"}},
}

// classes are the tokenizers of models that name none.
var classes = map[string]string{
	"bert": "BertTokenizer", "distilbert": "DistilBertTokenizer", "electra": "ElectraTokenizer", "roberta": "RobertaTokenizer",
	"gpt2": "GPT2Tokenizer", "gpt_neox": "GPTNeoXTokenizer", "t5": "T5Tokenizer", "mt5": "T5Tokenizer",
	"llama": "LlamaTokenizer", "mistral": "LlamaTokenizer", "mixtral": "LlamaTokenizer",
	"gemma": "GemmaTokenizer", "gemma2": "GemmaTokenizer", "qwen2": "Qwen2Tokenizer",
}
