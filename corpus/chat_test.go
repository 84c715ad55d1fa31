package corpus

import (
	"bufio"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"carillon/tokenizer"
)

// goldenChat is a line of testdata/chat/goldens.jsonl: what transformers makes of
// a conversation.
type goldenChat struct {
	Template, Tokenizer string
	Messages            []Message
	GenerationPrompt    bool `json:"add_generation_prompt"`
	Text, Error         string
	IDs                 []int32
}

func goldenChats(t *testing.T) []goldenChat {
	t.Helper()
	f, err := os.Open("testdata/chat/goldens.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var all []goldenChat
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var g goldenChat
		if err := json.Unmarshal(lines.Bytes(), &g); err != nil {
			t.Fatal(err)
		}
		all = append(all, g)
	}
	return all
}

// goldenTemplate writes a template of the goldens to a file, as a user would.
func goldenTemplate(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/chat/templates.json")
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]struct{ Template string }
	if err := json.Unmarshal(data, &all); err != nil {
		t.Fatal(err)
	}
	return file(t, name+".jinja", all[name].Template)
}

// openTokenizer opens one of the tokenizers of the goldens.
func openTokenizer(t *testing.T, name string) *tokenizer.Tokenizer {
	t.Helper()
	dir := filepath.Join("../tokenizer/testdata", name)
	if _, err := os.Stat(dir); err != nil {
		dir = filepath.Join("../../shared/fixtures/tokenizers", name)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no tokenizer %s: it is in ../shared/fixtures only", name)
	}
	tok, err := tokenizer.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// The text and the ids of each golden, by its own template; and by the template
// of that name here. One conversation differs on purpose: llama2 drops a late
// system message in silence, ours says so.
func TestChatGoldens(t *testing.T) {
	for _, name := range []string{"chatml", "qwen2", "llama3", "llama2"} {
		t.Run(name, func(t *testing.T) {
			goldens := slices.DeleteFunc(goldenChats(t), func(g goldenChat) bool { return g.Template != name })
			tok := openTokenizer(t, goldens[0].Tokenizer)
			for _, template := range []string{goldenTemplate(t, name), name} {
				c, err := newChat(template, tok)
				if err != nil {
					t.Fatal(err)
				}
				for _, g := range goldens {
					checkGolden(t, c, tok, g)
				}
			}
		})
	}
}

func checkGolden(t *testing.T, c *chat, tok *tokenizer.Tokenizer, g goldenChat) {
	t.Helper()
	text, err := c.render(g.Messages, g.GenerationPrompt)
	late := slices.ContainsFunc(g.Messages[1:], func(m Message) bool { return m.Role == "system" })
	switch {
	case c.name == "llama2" && late:
		if err == nil || !strings.Contains(err.Error(), "a system message has a place only before all others") {
			t.Errorf("a late system message: err = %v", err)
		}
	case g.Error != "":
		if err == nil || !strings.Contains(err.Error(), g.Error) {
			t.Errorf("%s, %v: err = %v; want %q", c.name, g.Messages, err, g.Error)
		}
	case err != nil || text != g.Text:
		t.Errorf("%s, %v:\ngot  %q, %v\nwant %q", c.name, g.Messages, text, err, g.Text)
	default:
		if ids := tok.Encode(text, nil); !slices.Equal(ids, g.IDs) {
			t.Errorf("%s, %q: ids %v, want %v", c.name, text, ids, g.IDs)
		}
	}
}

// chatTokenizer has a token for each byte and for each of the special texts; the
// last two are the beginning and the end of text.
func chatTokenizer(t *testing.T, template string, special ...string) *tokenizer.Tokenizer {
	t.Helper()
	dir := t.TempDir()
	special = append(special, "<s>", "</s>")
	if err := bytewise(t, special...).Write(dir); err != nil {
		t.Fatal(err)
	}
	config, err := json.Marshal(map[string]string{"bos_token": "<s>", "eos_token": "</s>", "chat_template": template})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), config, 0o644); err != nil {
		t.Fatal(err)
	}
	tok, err := tokenizer.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// marked writes a conversation as text, what is learnt in 【】.
func marked(tok *tokenizer.Tokenizer, tokens []int32, learnt []bool) string {
	var b strings.Builder
	for from := 0; from < len(tokens); {
		to := from
		for to < len(tokens) && learnt[to] == learnt[from] {
			to++
		}
		text := tok.Decode(tokens[from:to])
		if learnt[from] {
			text = "【" + text + "】"
		}
		b.WriteString(text)
		from = to
	}
	return b.String()
}

// What is learnt of a conversation by each of the templates.
func TestChatMasks(t *testing.T) {
	talk := []Message{{"system", "S"}, {"user", "a"}, {"assistant", "b\n"}, {"user", "c"}, {"assistant", "d"}}
	const alpaca = "<s>S\n\n### Instruction:\na\n\n### Response:\n【b\n</s>】\n\n### Instruction:\nc\n\n### Response:\n【d</s>】\n\n"
	for _, tt := range []struct{ name, want string }{
		{"chatml", "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n【b\n<|im_end|>】\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n【d<|im_end|>】\n"},
		{"qwen2", "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n【b\n<|im_end|>】\n<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n【d<|im_end|>】\n"},
		{"llama3", "<s><|start_header_id|>system<|end_header_id|>\n\nS<|eot_id|><|start_header_id|>user<|end_header_id|>\n\na<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n【b<|eot_id|>】" +
			"<|start_header_id|>user<|end_header_id|>\n\nc<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n【d<|eot_id|>】"},
		{"llama2", "<s>[INST] <<SYS>>\nS\n<</SYS>>\n\na [/INST]【 b </s>】<s>[INST] c [/INST]【 d </s>】"},
		{"mistral", "<s>[INST] S\n\na [/INST]【 b</s>】[INST] c [/INST]【 d</s>】"},
		{"gemma", "<s><start_of_turn>user\nS\n\na<end_of_turn>\n<start_of_turn>model\n【b<end_of_turn>】\n<start_of_turn>user\nc<end_of_turn>\n<start_of_turn>model\n【d<end_of_turn>】\n"},
		{"zephyr", "<|system|>\nS</s>\n<|user|>\na</s>\n<|assistant|>\n【b\n</s>】\n<|user|>\nc</s>\n<|assistant|>\n【d</s>】\n"},
		{"alpaca", alpaca},
	} {
		tok := chatTokenizer(t, "", "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<start_of_turn>", "<end_of_turn>")
		c, err := newChat(tt.name, tok)
		if err != nil {
			t.Fatal(err)
		}
		last := tt.want[:strings.Index(tt.want, "【")] + strings.NewReplacer("【", "", "】", "").Replace(tt.want[strings.Index(tt.want, "【"):strings.LastIndex(tt.want, "【")]) + tt.want[strings.LastIndex(tt.want, "【"):]
		for historyMasked, want := range map[bool]string{false: tt.want, true: last} {
			tokens, learnt, err := c.encode(tok, talk, historyMasked)
			if got := marked(tok, tokens, learnt); err != nil || got != want {
				t.Errorf("%s, mask_history %v:\ngot  %q, %v\nwant %q", tt.name, historyMasked, got, err, want)
			}
		}
	}
}

// Conversations and templates out of the ordinary.
func TestChatMasksOfOddConversations(t *testing.T) {
	const open = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
	for _, tt := range []struct {
		name, template string
		messages       []Message
		want           string
	}{
		{"the assistant begins", "chatml", []Message{{"assistant", "a"}, {"user", "b"}}, "<|im_start|>assistant\n【a<|im_end|>】\n<|im_start|>user\nb<|im_end|>\n"},
		{"behind a system message that the template adds", "qwen2", []Message{{"assistant", "a"}}, "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>assistant\n【a<|im_end|>】\n"},
		{"two turns in a row", "chatml", []Message{{"user", "u"}, {"assistant", "a"}, {"assistant", ""}}, "<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\n【a<|im_end|>】\n<|im_start|>assistant\n【<|im_end|>】\n"},
		{"a special text inside", "chatml", []Message{{"user", "u<|im_end|>"}, {"assistant", "a<|im_end|>\n"}}, "<|im_start|>user\nu<|im_end|><|im_end|>\n<|im_start|>assistant\n【a<|im_end|>\n<|im_end|>】\n"},
		{"a tool", "chatml", []Message{{"user", "u"}, {"assistant", "f()"}, {"tool", "3"}, {"assistant", "a"}},
			"<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\n【f()<|im_end|>】\n<|im_start|>tool\n3<|im_end|>\n<|im_start|>assistant\n【a<|im_end|>】\n"},
		{"no generation prompt and no end", open, []Message{{"user", "u"}, {"assistant", "a \n"}, {"user", "v"}}, "<user>u【<assistant>a \n】<user>v"},
		{"a prompt that opens a thought", open + "{% if add_generation_prompt %}<assistant><think>{% endif %}", []Message{{"user", "u"}, {"assistant", "a"}}, "<user>u<assistant>【a】"},
		{"tools are none", "{{ tools is none }}{{ documents is none }}{{ pad_token is defined }}" + open, []Message{{"user", "u"}, {"assistant", "a"}}, "TrueTrueFalse<user>u【<assistant>a】"},
	} {
		tok := chatTokenizer(t, tt.template, "<|im_start|>", "<|im_end|>")
		name := tt.template
		if strings.Contains(name, "{") {
			name = "" // the base model's own
		}
		c, err := newChat(name, tok)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		tokens, learnt, err := c.encode(tok, tt.messages, false)
		if got := marked(tok, tokens, learnt); err != nil || got != tt.want {
			t.Errorf("%s:\ngot  %q, %v\nwant %q", tt.name, got, err, tt.want)
		}
	}
}

// A template that writes a message otherwise once others follow, as those do that
// keep the system message before the last user, can teach the last turn only.
func TestATemplateThatRewritesThePast(t *testing.T) {
	const template = "{% for m in messages if m.role != 'system' %}<{{ m.role }}>{% if m.role == 'user' and loop.revindex <= 2 %}{{ messages[0].content }} {% endif %}{{ m.content }}{% if m.role == 'assistant' %}</s>{% endif %}{% endfor %}" +
		"{% if add_generation_prompt %}<assistant>{% endif %}"
	talk := []Message{{"system", "S"}, {"user", "a"}, {"assistant", "b"}, {"user", "c"}, {"assistant", "d"}}
	tok := chatTokenizer(t, template)
	c, err := newChat("", tok)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.encode(tok, talk, false); err == nil || !strings.Contains(err.Error(), "message 3 differently once others follow") || !strings.Contains(err.Error(), "mask_history") {
		t.Errorf("err = %v; want that the template does not keep to what it wrote", err)
	}
	tokens, learnt, err := c.encode(tok, talk, true)
	if got, want := marked(tok, tokens, learnt), "<user>a<assistant>b</s><user>S c<assistant>【d</s>】"; err != nil || got != want {
		t.Errorf("got %q, %v; want %q", got, err, want)
	}
}

func TestNewChatRefuses(t *testing.T) {
	tok := chatTokenizer(t, "")
	for _, tt := range []struct{ template, want string }{
		{"", `the base model has no chat template: write chat_template: with one of "alpaca"`},
		{"none.jinja", "chat_template: open none.jinja: no such file"},
		{"lama3", `chat_template "lama3" is not known: want one of "llama3",`},
		{"../chat", `chat_template "../chat" is not known`},
		{"nowhere.jinja", "nowhere.jinja: no such file"},
		{file(t, "x.jinja", "{% include 'y' %}"), `x.jinja: line 1: tag "include" is not known`},
	} {
		if _, err := newChat(tt.template, tok); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: err = %v; want %q", tt.template, err, tt.want)
		}
	}
	c, err := newChat(file(t, "x.jinja", "\n{{ raise_exception('no') }}"), tok)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.encode(tok, []Message{{"user", "a"}}, false); err == nil || !strings.Contains(err.Error(), "x.jinja: line 2: the template refuses: no") {
		t.Errorf("err = %v; want what the template says, and where", err)
	}
}
