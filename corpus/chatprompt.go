package corpus

import (
	"errors"
	"strings"

	"carillon/tokenizer"
)

// Chat writes conversations for a model that shall say what comes next, as those
// that it learnt from were written. It may be used by several goroutines at once.
type Chat struct {
	chat *chat
	tok  *tokenizer.Tokenizer
}

// OpenChat returns the chat of a template: of none the base model's own, else what
// chat_template of a recipe may name.
func OpenChat(template string, tok *tokenizer.Tokenizer) (*Chat, error) {
	c, err := newChat(template, tok)
	if err != nil {
		return nil, err
	}
	return &Chat{c, tok}, nil
}

// Prompt returns the tokens of a conversation up to where the assistant begins to
// speak.
func (c *Chat) Prompt(messages []Message) ([]int32, error) {
	if len(messages) == 0 {
		return nil, errors.New("there are no messages")
	}
	text, err := c.chat.render(messages, true)
	return c.tok.Encode(text, nil), err
}

// EndOfTurn returns the special token that the template writes behind what the
// assistant says. There is none where plain text ends a turn.
func (c *Chat) EndOfTurn() (int32, bool) {
	const said = "carillon"
	text, err := c.chat.render([]Message{{"user", "bells"}, {"assistant", said}}, false)
	at := strings.LastIndex(text, said)
	if err != nil || at < 0 {
		return 0, false
	}
	for _, id := range c.tok.Encode(text[at+len(said):], nil) {
		if c.tok.IsSpecial(id) {
			return id, true
		}
	}
	return 0, false
}
