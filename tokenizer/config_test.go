package tokenizer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// openChanged opens a fixture with other files beside its tokenizer.json, in
// which a text may be replaced.
func openChanged(t *testing.T, fixture, old, new string, files map[string]string) (*Tokenizer, error) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", fixture, FileName))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), old) {
		t.Fatalf("%s has no %s", fixture, old)
	}
	dir := t.TempDir()
	os.WriteFile(filepath.Join(dir, FileName), []byte(strings.Replace(string(data), old, new, 1)), 0o644)
	for name, content := range files {
		os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644)
	}
	return Open(dir)
}

func TestTheConfigurationChangesTheFile(t *testing.T) {
	for _, tt := range []struct {
		name, fixture, old, new string
		files                   map[string]string
		text, tokens            string // with special tokens
	}{
		{"Llama begins a text", "qwen2", "", "", map[string]string{"tokenizer_config.json": `{"tokenizer_class":"LlamaTokenizerFast","bos_token":"<|im_start|>","eos_token":"<|im_end|>"}`},
			"a", "<|im_start|> a"},
		{"Llama ends a text", "qwen2", "", "", map[string]string{"tokenizer_config.json": `{"tokenizer_class":"LlamaTokenizer","add_bos_token":false,"add_eos_token":true,"bos_token":"<|im_start|>","eos_token":"<|im_end|>"}`},
			"a", "a <|im_end|>"},
		{"the model's type tells the class", "qwen2", "", "", map[string]string{"config.json": `{"model_type":"mistral","bos_token_id":2001,"eos_token_id":2002}`},
			"a", "<|im_start|> a"},
		{"others do not go by add_eos_token", "qwen2", "", "", map[string]string{"tokenizer_config.json": `{"tokenizer_class":"PreTrainedTokenizerFast","add_eos_token":true,"eos_token":"<|im_end|>"}`},
			"a", "a"},
		{"BERT keeps capitals", "bert-uncased", "", "", map[string]string{"tokenizer_config.json": `{"tokenizer_class":"BertTokenizer","do_lower_case":false}`},
			"the The", "[CLS] the [UNK] [SEP]"},
		{"BERT lowers capitals by itself", "bert-uncased", `"lowercase": true`, `"lowercase": false`, map[string]string{"tokenizer_config.json": `{"tokenizer_class":"BertTokenizerFast"}`},
			"the The", "[CLS] the the [SEP]"},
		{"a prefix space", "qwen2", `"pre_tokenizer": {`, `"pre_tokenizer": {"type":"ByteLevel","add_prefix_space":false}, "padding": {`, map[string]string{"tokenizer_config.json": `{"add_prefix_space":true}`},
			"a", "Ġa"},
		{"no prefix space unless it says so", "qwen2", `"pre_tokenizer": {`, `"pre_tokenizer": {"type":"ByteLevel","add_prefix_space":true}, "padding": {`, map[string]string{"tokenizer_config.json": `{}`},
			"a", "a"},
		{"the file's prefix space without a configuration", "qwen2", `"pre_tokenizer": {`, `"pre_tokenizer": {"type":"ByteLevel","add_prefix_space":true}, "padding": {`, nil,
			"a", "Ġa"},
		{"another added token", "qwen2", "", "", map[string]string{"tokenizer_config.json": `{"added_tokens_decoder":{"2005":{"content":"<x>","special":true}}}`},
			"a<x>", "a <x>"},
		{"an added token with other options", "qwen2", "", "", map[string]string{"tokenizer_config.json": `{"added_tokens_decoder":{"2003":{"content":"<think>","rstrip":true}}}`},
			"<think> a", "<think> a"},
		{"a word of the vocabulary is a special token", "qwen2", "", "", map[string]string{"tokenizer_config.json": `{"additional_special_tokens":["he"]}`},
			"the", "t he"},
	} {
		tok, err := openChanged(t, tt.fixture, tt.old, tt.new, tt.files)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var names []string
		for _, id := range tok.Single(tok.Encode(tt.text, nil), nil) {
			names = append(names, tok.Token(id))
		}
		if got := strings.Join(names, " "); got != tt.tokens {
			t.Errorf("%s: %q gives %s, want %s", tt.name, tt.text, got, tt.tokens)
		}
	}
}

func TestTheConfigurationIsRefused(t *testing.T) {
	for _, tt := range []struct{ fixture, name, content, want string }{
		{"qwen2", "tokenizer_config.json", `{"tokenizer_class":"LlamaTokenizer"}`, "tokenizer_config.json: add_bos_token, but no file names the bos_token"},
		{"qwen2", "tokenizer_config.json", `{"added_tokens_decoder":{"x":{"content":"y"}}}`, `added_tokens_decoder: "x" is no id`},
		{"qwen2", "tokenizer_config.json", `{"added_tokens_decoder":{"7":{"content":"<think>"}}}`, `"<think>" has id 7, in tokenizer.json 2003`},
		{"qwen2", "tokenizer_config.json", `{"added_tokens_decoder":{"2003":{"content":"<y>"}}}`, `share id 2003`},
		{"qwen2", "tokenizer_config.json", `{"pad_token":"<pad>"}`, `pad_token "<pad>" is no token of tokenizer.json`},
		{"qwen2", "tokenizer_config.json", `{"chat_template":7}`, `tokenizer_config.json: chat_template: want a string`},
		{"qwen2", "tokenizer_config.json", `[]`, "tokenizer_config.json: a JSON array, want an object"},
		{"qwen2", "tokenizer_config.json", `{"eos_token":5}`, `tokenizer_config.json: eos_token 5: want a string, null or {"content": …}`},
		{"qwen2", "special_tokens_map.json", `{"pad_token":{"id":5}}`, `special_tokens_map.json: pad_token {"id":5}: want a string, null or {"content": …}`},
		{"qwen2", "special_tokens_map.json", `{"cls_token":{"content":"<cls>"}}`, `special_tokens_map.json: cls_token "<cls>" is no token`},
		{"qwen2", "config.json", `{"bos_token_id":9999}`, "config.json: bos_token_id 9999: want an id of the vocabulary, 0 to 2004"},
	} {
		if _, err := openChanged(t, tt.fixture, "", "", map[string]string{tt.name: tt.content}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: err = %v; want %q", tt.content, err, tt.want)
		}
	}
}

func TestADirectoryWithoutATokenizer(t *testing.T) {
	empty, none := t.TempDir(), filepath.Join(t.TempDir(), "none")
	for dir, want := range map[string]string{
		empty: "open tokenizer: " + empty + " has no tokenizer.json, tokenizer.model or spiece.model",
		none:  "open tokenizer: stat " + none + ": no such file or directory",
	} {
		if _, err := Open(dir); err == nil || err.Error() != want {
			t.Errorf("err = %v; want %s", err, want)
		}
	}
}

func TestSpecialTokensByRole(t *testing.T) {
	tok, err := Open("testdata/bert-cased")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		role string
		get  func() (int32, bool)
		want string
	}{
		{"cls_token", tok.CLS, "[CLS]"}, {"sep_token", tok.SEP, "[SEP]"}, {"mask_token", tok.MASK, "[MASK]"}, {"pad_token", tok.PAD, "[PAD]"}, {"unk_token", tok.UNK, "[UNK]"},
		{"bos_token", tok.BOS, ""}, {"eos_token", tok.EOS, ""},
	} {
		id, ok := tt.get()
		if ok != (tt.want != "") || ok && tok.Token(id) != tt.want || tok.SpecialText(tt.role) != tt.want || ok && !tok.IsSpecial(id) {
			t.Errorf("%s is %d, %v, %q; want %q", tt.role, id, ok, tok.SpecialText(tt.role), tt.want)
		}
	}
	if tok.Token(-1) != "" || tok.Token(1<<20) != "" || tok.IsSpecial(-1) {
		t.Error("an id that is none has a token")
	}
}

func TestTheChatTemplateIsFound(t *testing.T) {
	for want, files := range map[string]map[string]string{
		"":        {"tokenizer_config.json": `{}`},
		"text":    {"tokenizer_config.json": `{"chat_template":"text"}`},
		"default": {"tokenizer_config.json": `{"chat_template":[{"name":"tool_use","template":"x"},{"name":"default","template":"default"}]}`},
		"file":    {"tokenizer_config.json": `{"chat_template":"text"}`, "chat_template.jinja": "file"},
	} {
		tok, err := openChanged(t, "qwen2", "", "", files)
		if err != nil || tok.ChatTemplate() != want {
			t.Errorf("%v, err %v; want %q", files, err, want)
		}
	}
}

func TestTextThatGoesOn(t *testing.T) {
	eachFixture(t, func(t *testing.T, tok *Tokenizer, _ []golden) {
		whole := tok.Encode("the story the end", nil)
		parts := tok.EncodeAfter(" the end", tok.Encode("the story", nil))
		if !slices.Equal(whole, parts) {
			t.Errorf("in parts %v, want %v", parts, whole)
		}
		if _, words := tok.model.(*wordPiece); words {
			return // it has words only: "go ing"
		}
		if got := tok.Decode(append(tok.Encode("go", nil), tok.EncodeAfter("ing", nil)...)); got != "going" {
			t.Errorf("%q, want going", got)
		}
	})
}
