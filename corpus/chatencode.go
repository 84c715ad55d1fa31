package corpus

import (
	"fmt"
	"strings"

	"carillon/tokenizer"
)

// encode returns a conversation's tokens, and which of them are learnt: what the
// assistant says and the end of its turn, in all its turns or only in the last
// one. What the template writes before and after a turn is not learnt.
//
// The text is tokenized whole, as it is when the model is asked; where a turn
// begins and ends is where its tokens part from those of the conversation up to
// it, with the generation prompt, and go on beyond those of the conversation with
// it.
func (c *chat) encode(tok *tokenizer.Tokenizer, messages []Message, historyMasked bool) (tokens []int32, learnt []bool, err error) {
	whole, err := c.render(messages, false)
	if err != nil {
		return nil, nil, err
	}
	e := &encoding{chat: c, tok: tok, messages: messages, whole: whole, tokens: tok.Encode(whole, nil)}
	learnt = make([]bool, len(e.tokens))
	for i := len(messages) - 1; i >= 0; i-- {
		if messages[i].Role != "assistant" {
			continue
		}
		from, to, err := e.turn(i)
		if err != nil {
			return nil, nil, err
		}
		for j := from; j < to; j++ {
			learnt[j] = true
		}
		if historyMasked {
			break
		}
	}
	return e.tokens, learnt, nil
}

// encoding is one conversation on its way to tokens.
type encoding struct {
	*chat
	tok      *tokenizer.Tokenizer
	messages []Message
	whole    string
	tokens   []int32
}

// turn returns where the tokens of a turn that are learnt begin and end.
func (e *encoding) turn(i int) (from, to int, err error) {
	with, err := e.begin(i+1, false)
	if err != nil {
		return 0, 0, err
	}
	prompt, err := e.prompt(i, with)
	if err != nil {
		return 0, 0, err
	}
	from = e.shared(prompt)
	to = len(e.tokens)
	if len(with) < len(e.whole) {
		to = e.shared(with)
	}
	return from, e.withoutSpace(from, to), nil
}

// begin renders the first n messages, which has to give the beginning of the
// whole.
func (e *encoding) begin(n int, generationPrompt bool) (string, error) {
	text, err := e.render(e.messages[:n], generationPrompt)
	if err == nil && !strings.HasPrefix(e.whole, text) {
		err = fmt.Errorf("chat template %s: it writes message %d differently once others follow it, so that what to learn cannot be told; mask_history: true learns the last turn alone, or name another chat_template", e.name, n)
	}
	return text, err
}

// prompt returns the text after which the assistant's turn i is generated.
// Templates whose generation prompt is not how they begin a turn (one that opens
// a thought) are taken as far as the two agree.
func (e *encoding) prompt(i int, with string) (string, error) {
	if i == 0 {
		return e.firstPrompt(with)
	}
	before, err := e.begin(i, false)
	if err != nil {
		return "", err
	}
	prompt, err := e.render(e.messages[:i], true)
	if err == nil && !strings.HasPrefix(prompt, before) {
		err = fmt.Errorf("chat template %s: its generation prompt is not put at the end of what there is without it", e.name)
	}
	return prompt, err
}

// firstPrompt is prompt for a conversation that the assistant begins: many
// templates write nothing for no messages, so the generation prompt is taken from
// after the turn and looked for before it.
func (e *encoding) firstPrompt(with string) (string, error) {
	after, err := e.render(e.messages[:1], true)
	if err != nil {
		return "", err
	}
	opening, ok := strings.CutPrefix(after, with)
	if at := strings.Index(with, opening); ok && at >= 0 {
		return with[:at+len(opening)], nil
	}
	return "", nil
}

// shared counts the tokens that a text and the whole begin with.
func (e *encoding) shared(text string) int {
	n := 0
	for _, id := range e.tok.Encode(text, nil) {
		if n == len(e.tokens) || e.tokens[n] != id {
			break
		}
		n++
	}
	return n
}

// withoutSpace takes white space off the end of a turn if a special token ends
// it: no model has to write that. Elsewhere the white space is the end.
func (e *encoding) withoutSpace(from, to int) int {
	end := to
	for end > from && !e.tok.IsSpecial(e.tokens[end-1]) && strings.TrimSpace(e.tok.Decode(e.tokens[end-1:end])) == "" {
		end--
	}
	if end > from && e.tok.IsSpecial(e.tokens[end-1]) {
		return end
	}
	return to
}
