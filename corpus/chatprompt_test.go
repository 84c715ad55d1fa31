package corpus

import (
	"slices"
	"strings"
	"testing"
)

// A conversation is written up to where the assistant speaks as transformers
// writes it.
func TestChatPromptGoldens(t *testing.T) {
	tried := 0
	for _, g := range goldenChats(t) {
		if !g.GenerationPrompt || g.Error != "" || g.Template != "qwen2" && g.Template != "chatml" {
			continue
		}
		tok := openTokenizer(t, g.Tokenizer)
		c, err := OpenChat(g.Template, tok)
		if err != nil {
			t.Fatal(err)
		}
		if ids, err := c.Prompt(g.Messages); err != nil || !slices.Equal(ids, g.IDs) {
			t.Errorf("%s, %v: ids %v, %v; want %v", g.Template, g.Messages, ids, err, g.IDs)
		}
		tried++
	}
	if tried == 0 {
		t.Error("no golden was tried")
	}
}

// Each template says with which token its assistant ends.
func TestEndOfTurn(t *testing.T) {
	for template, want := range map[string]string{
		"chatml": "<|im_end|>", "qwen2": "<|im_end|>", "llama3": "<|eot_id|>", "llama2": "</s>",
		"mistral": "</s>", "gemma": "<end_of_turn>", "zephyr": "</s>", "alpaca": "</s>",
		"": "", // of the base model: plain text
	} {
		const plain = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
		tok := chatTokenizer(t, plain, "<|im_start|>", "<|im_end|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<start_of_turn>", "<end_of_turn>")
		c, err := OpenChat(template, tok)
		if err != nil {
			t.Fatal(err)
		}
		id, ok := c.EndOfTurn()
		if got := tok.Decode([]int32{id}); ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v; want %q", template, got, ok, want)
		}
	}
}

func TestNoMessagesAndNoTemplateAreErrors(t *testing.T) {
	c, err := OpenChat("chatml", chatTokenizer(t, "", "<|im_end|>"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Prompt(nil); err == nil || !strings.Contains(err.Error(), "no messages") {
		t.Errorf("no messages: %v", err)
	}
	if _, err := OpenChat("", chatTokenizer(t, "")); err == nil || !strings.Contains(err.Error(), "no chat template") {
		t.Errorf("no template: %v", err)
	}
}
