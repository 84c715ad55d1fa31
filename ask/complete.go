package ask

import (
	"context"
	"fmt"
	"slices"

	"carillon/job"
	"carillon/model"
)

// Writing says how texts are continued, or answered where the model has a decoder.
type Writing struct {
	MaxNew int      // the most tokens to add
	Stop   []string // what ends a text and is left out, besides the end of text
	model.Sampling

	// What model.Writing has of beams: with more than one, an answer is settled when
	// it is complete.
	NumBeams      int
	LengthPenalty float64
	EarlyStopping string

	// Said, unless it is nil, hears of a prompt's number and text that was added to
	// it, as soon as it is settled: put together, it is the answer.
	Said func(prompt int, text string)
}

// Check returns what is wrong with the settings.
func (w Writing) Check() error { return w.model().Check() }

// model is what the model is told of it.
func (w Writing) model() model.Writing {
	return model.Writing{MaxNew: w.MaxNew, Stop: -1, Sampling: w.Sampling, NumBeams: w.NumBeams, LengthPenalty: w.LengthPenalty, EarlyStopping: w.EarlyStopping}
}

// Answer is how a text goes on.
type Answer struct {
	Adapter string // the name of who gave it
	Text    string
	Tokens  int // that were drawn for it
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
// what was added; a model with a decoder answers it instead. Prompts run in batches,
// all padded alike, so that one program serves them; when ctx ends they are written no
// further. A model that tells classes or numbers is refused. What is wrong with a
// prompt is a PromptError.
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
	tokens := a.tok.Encode(text, nil)
	around := a.tok.Single(tokens, nil)
	if a.answers() {
		return prompt{around, -1}
	}
	const here = -1 // no vocabulary has it
	front := slices.Index(a.tok.Single([]int32{here}, nil), here)
	return prompt{around[:front+len(tokens)], -1}
}

// answers reports whether the model has a decoder, which begins a text of its own.
func (a *Asker) answers() bool { return a.session().Task() == job.Seq2SeqLM }

// write continues prompts.
func (a *Asker) write(ctx context.Context, prompts []prompt, w Writing) ([]Answer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if task := a.session().Task(); task != job.CausalLM && !a.answers() {
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
	if _, err := session.Write(tokens, a.writing(ctx, prompts, flows, w)); err != nil {
		return nil, err
	}
	answers := make([]Answer, len(prompts))
	for i, f := range flows {
		answers[i] = Answer{a.name, f.finish(), f.tokens}
	}
	return answers, ctx.Err()
}

// check says what is wrong with prompt i.
func (a *Asker) check(i int, p prompt, w Writing) error {
	n, most := len(p.tokens), a.session().Context()
	switch {
	case n == 0:
		return &PromptError{i, "is empty"}
	case a.answers() && n > most:
		return &PromptError{i, fmt.Sprintf("has %d tokens, more than the model's context of %d", n, most)}
	case !a.answers() && n+w.MaxNew > most:
		return &PromptError{i, fmt.Sprintf("has %d tokens; with %d more it is longer than the model's context of %d", n, w.MaxNew, most)}
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
	m := w.model()
	if eos, ok := a.tok.EOS(); ok {
		m.Stop = eos
	}
	m.Token = func(i int, token int32) { flows[i].push(token) }
	m.Ended = func(i int, added []int32) bool {
		if ctx.Err() != nil || added[len(added)-1] == prompts[i].end {
			return true
		}
		if w.NumBeams > 1 { // one of several texts, of which the flow knows none yet
			_, found := before(a.tok.DecodeText(added), w.Stop)
			return found
		}
		return flows[i].ended
	}
	return m
}
