package corpus

import (
	"errors"

	"carillon/tokenizer"
)

// chat renders conversations.
type chat struct{}

func newChat(template string, tok *tokenizer.Tokenizer) (*chat, error) {
	return nil, errors.New("conversations are not read yet")
}

func (c *chat) encode(tok *tokenizer.Tokenizer, messages []Message, historyMasked bool) (tokens []int32, learnt []bool, err error) {
	return nil, nil, errors.New("conversations are not read yet")
}
