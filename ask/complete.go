package ask

import (
	"context"
	"fmt"
	"slices"

	"carillon/job"
	"carillon/model"
)

// Writing says how texts are continued.
type Writing struct {
	MaxNew int      // the most tokens to add
	Stop   []string // what ends a text and is left out, besides the end of text
	model.Sampling

	// Said, unless it is nil, hears of a prompt's number and text that was added to
	// it, as soon as it is settled: put together, it is the answer.
	Said func(prompt int, text string)
}

// Answer is how a text goes on.
type Answer struct {
	Text   string
	Tokens int // that were drawn for it
}

// PromptError says what is wrong with one prompt of several.
type PromptError struct {
	Prompt int // its number, from 0
	Reason string
}

func (e *PromptError) Error() string { return fmt.Sprintf("prompt %d %s", e.Prompt, e.Reason) }

// Complete is Write by the likeliest token each time.
func (a *Asker) Complete(ctx context.Context, prompts []string, maxNew int) ([]string, error) {
	return a.Write(ctx, prompts, Writing{MaxNew: maxNew})
}

// Write continues each prompt until the end of text or one of w.Stop, and returns
// what was added. Prompts run in batches of 16, all padded alike, so that one
// program serves them; when ctx ends they are written no further. A model that tells
// classes or numbers is refused. What is wrong with a prompt is a PromptError.
func (a *Asker) Write(ctx context.Context, prompts []string, w Writing) ([]string, error) {
	all := make([]prompt, len(prompts))
	for i, p := range prompts {
		all[i] = a.prompt(p)
	}
	answers, err := a.write(ctx, all, w)
	texts := make([]string, len(answers))
	for i, answer := range answers {
		texts[i] = answer.Text
	}
	return texts, err
}

// prompt is what a text goes on from.
type prompt struct {
	tokens []int32
	end    int32 // what ends the answer and is left out, besides the end of text; negative: nothing
}

// prompt puts a text into what the tokenizer puts around it, as examples are for
// training: a text that goes on has only what stands before it.
func (a *Asker) prompt(text string) prompt {
	const here = -1 // no vocabulary has it
	around := a.tok.Single([]int32{here}, nil)
	front := around[:slices.Index(around, here)]
	return prompt{a.tok.Encode(text, slices.Clone(front)), -1}
}

// write continues prompts.
func (a *Asker) write(ctx context.Context, prompts []prompt, w Writing) ([]Answer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if task := a.session().Task(); task != job.CausalLM {
		return nil, fmt.Errorf("the model of %s is for task_type %s and does not go on with a text", a.dir, task)
	}
	tokens := make([][]int32, len(prompts))
	for i, p := range prompts {
		if err := a.check(i, p, w); err != nil {
			return nil, err
		}
		tokens[i] = p.tokens
	}
	session, err := a.seated()
	if err != nil {
		return nil, err
	}
	flows := a.flows(len(prompts), w)
	added, err := session.Write(tokens, a.writing(ctx, prompts, flows, w))
	if err != nil {
		return nil, err
	}
	answers := make([]Answer, len(prompts))
	for i, f := range flows {
		for _, token := range added[i][min(f.tokens, len(added[i])):] {
			f.push(token)
		}
		answers[i] = Answer{f.finish(), f.tokens}
	}
	return answers, ctx.Err()
}

// check says what is wrong with prompt i.
func (a *Asker) check(i int, p prompt, w Writing) error {
	if len(p.tokens) == 0 {
		return &PromptError{i, "is empty"}
	}
	if most := a.session().Context(); len(p.tokens)+w.MaxNew > most {
		return &PromptError{i, fmt.Sprintf("has %d tokens; with %d more it is longer than the model's context of %d", len(p.tokens), w.MaxNew, most)}
	}
	return nil
}

// flows are the texts of so many answers.
func (a *Asker) flows(n int, w Writing) []*flow {
	flows := make([]*flow, n)
	for i := range flows {
		flows[i] = &flow{stream: a.tok.Stream(), stops: w.Stop}
		if w.Said != nil {
			flows[i].said = func(text string) { w.Said(i, text) }
		}
	}
	return flows
}

// writing says to the model how prompts are continued into flows.
func (a *Asker) writing(ctx context.Context, prompts []prompt, flows []*flow, w Writing) model.Writing {
	stop := int32(-1)
	if eos, ok := a.tok.EOS(); ok {
		stop = eos
	}
	return model.Writing{MaxNew: w.MaxNew, Stop: stop, Sampling: w.Sampling, Ended: func(i int, added []int32) bool {
		token := added[len(added)-1]
		flows[i].push(token)
		return token == prompts[i].end || flows[i].ended || ctx.Err() != nil
	}}
}
