package corpus

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"carillon/corpus/jinja"
	"carillon/tokenizer"
)

//go:embed templates/*.jinja
var templates embed.FS

// chat writes conversations as a template says. It may be used by several
// goroutines at once.
type chat struct {
	name     string // of the template, for errors
	template *jinja.Template
	special  map[string]any // bos_token and its like, those that the tokenizer has
}

// newChat returns the template that a recipe names: none is the base model's own,
// a path that ends in .jinja a file, all else one of the templates here.
func newChat(template string, tok *tokenizer.Tokenizer) (*chat, error) {
	c := &chat{name: template, special: map[string]any{}}
	source, err := c.source(tok)
	if err != nil {
		return nil, err
	}
	if c.template, err = jinja.Parse(source); err != nil {
		return nil, fmt.Errorf("chat template %s: %w", c.name, err)
	}
	for _, role := range []string{"bos", "eos", "unk", "sep", "pad", "cls", "mask"} {
		if text := tok.SpecialText(role + "_token"); text != "" {
			c.special[role+"_token"] = text
		}
	}
	return c, nil
}

// source returns the text of the template.
func (c *chat) source(tok *tokenizer.Tokenizer) (string, error) {
	if c.name == "" {
		c.name = "of the base model"
		source := tok.ChatTemplate()
		if source == "" {
			return "", fmt.Errorf("the base model has no chat template: write chat_template: with one of %s, or a file that ends in .jinja", list(templateNames(), ""))
		}
		return source, nil
	}
	if strings.HasSuffix(c.name, ".jinja") {
		source, err := os.ReadFile(c.name)
		if err != nil {
			return "", fmt.Errorf("chat_template: %w", err)
		}
		return string(source), nil
	}
	source, err := templates.ReadFile("templates/" + c.name + ".jinja")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return "", fmt.Errorf("chat_template %q is not known: want one of %s, or a file that ends in .jinja", c.name, list(templateNames(), c.name))
	}
	return string(source), err
}

// templateNames returns the names of the templates here.
func templateNames() map[string]bool {
	files, _ := templates.ReadDir("templates") // embedded: it is there
	names := map[string]bool{}
	for _, f := range files {
		names[strings.TrimSuffix(f.Name(), filepath.Ext(f.Name()))] = true
	}
	return names
}

// render writes messages; with a generation prompt it ends where the assistant
// begins to speak.
func (c *chat) render(messages []Message, generationPrompt bool) (string, error) {
	var turns []any
	for _, m := range messages {
		turns = append(turns, jinja.Dict{{Key: "role", Value: m.Role}, {Key: "content", Value: m.Content}})
	}
	values := map[string]any{"messages": turns, "add_generation_prompt": generationPrompt, "tools": nil, "documents": nil}
	for name, text := range c.special {
		values[name] = text
	}
	text, err := c.template.Render(values)
	if err != nil {
		return "", fmt.Errorf("chat template %s: %w", c.name, err)
	}
	return text, nil
}
