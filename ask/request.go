package ask

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"carillon/corpus"
)

// Request is one thing to ask: a text to go on with, or a conversation to answer.
type Request struct {
	Adapter  string // who is asked: see Several.Get
	Prompt   string
	Messages []corpus.Message // in place of a prompt
}

// Talk says how conversations are written: as the base model's own chat template,
// or as another that chat_template of a recipe may name.
type Talk struct{ Template string }

// Answer asks each request of its adapter, and returns the answers in their order.
// Those of one adapter are asked together, so that a batch of them is computed at
// once; they draw as if they alone were asked. Answers to conversations also end
// with their template's end of turn. What is wrong with a request is a PromptError
// with its number.
func (s *Several) Answer(ctx context.Context, requests []Request, talk Talk, w Writing) ([]Answer, error) {
	prompts, groups, err := s.prompts(requests, talk)
	if err != nil {
		return nil, err
	}
	answers := make([]Answer, len(requests))
	for _, g := range groups {
		if err := g.ask(ctx, prompts, w, answers); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// group are the requests, by number, that one Asker is asked.
type group struct {
	asker   *Asker
	numbers []int
}

// prompts makes prompts of requests, and finds who is asked which.
func (s *Several) prompts(requests []Request, talk Talk) (prompts []prompt, groups []*group, err error) {
	var c *conversations
	if slices.ContainsFunc(requests, Request.talks) {
		if c, err = s.base.conversations(talk); err != nil {
			return nil, nil, err
		}
	}
	prompts = make([]prompt, len(requests))
	for i, r := range requests {
		a, err := s.Get(r.Adapter)
		if err != nil {
			return nil, nil, &PromptError{i, "cannot be asked: " + err.Error()}
		}
		if !r.talks() {
			prompts[i] = a.prompt(r.Prompt)
		} else if prompts[i], err = c.prompt(r.Messages); err != nil {
			return nil, nil, &PromptError{i, "is a conversation that cannot be written: " + err.Error()}
		}
		groups = place(groups, a, i)
	}
	return prompts, groups, nil
}

func (r Request) talks() bool { return r.Messages != nil }

// place adds a request to the group of who is asked.
func place(groups []*group, a *Asker, number int) []*group {
	at := slices.IndexFunc(groups, func(g *group) bool { return g.asker == a })
	if at < 0 {
		return append(groups, &group{a, []int{number}})
	}
	groups[at].numbers = append(groups[at].numbers, number)
	return groups
}

// ask asks a group, and puts the answers where they belong.
func (g *group) ask(ctx context.Context, prompts []prompt, w Writing, answers []Answer) error {
	ours := make([]prompt, len(g.numbers))
	for k, i := range g.numbers {
		ours[k] = prompts[i]
	}
	if said := w.Said; said != nil {
		w.Said = func(k int, text string) { said(g.numbers[k], text) }
	}
	all, err := g.asker.write(ctx, ours, w)
	if wrong := (*PromptError)(nil); errors.As(err, &wrong) {
		return &PromptError{g.numbers[wrong.Prompt], wrong.Reason}
	}
	if err != nil {
		return err
	}
	for k, i := range g.numbers {
		answers[i] = all[k]
	}
	return nil
}

// conversations makes prompts of them.
type conversations struct {
	chat *corpus.Chat
	end  int32 // of a turn; negative: there is no token for it
}

func (b *base) conversations(talk Talk) (*conversations, error) {
	if talk.Template == "" && b.tok.ChatTemplate() == "" {
		return nil, fmt.Errorf("%s has no chat template: name another, such as chatml or a file that ends in .jinja", b.dir)
	}
	chat, err := corpus.OpenChat(talk.Template, b.tok)
	if err != nil {
		return nil, err
	}
	c := &conversations{chat, -1}
	if end, ok := chat.EndOfTurn(); ok {
		c.end = end
	}
	return c, nil
}

func (c *conversations) prompt(messages []corpus.Message) (prompt, error) {
	tokens, err := c.chat.Prompt(messages)
	return prompt{tokens, c.end}, err
}
