package model

import "slices"

// author decides what is added to a prompt: one text, or several of which the best
// counts in the end.
type author interface {
	// add takes what may come next in each of the author's rows, logits [rows, V],
	// and returns what does, and which of the rows it goes on with.
	add(logits []float32) (tokens, from []int32)
	done() bool
	// text is what was added to the prompt.
	text() []int32
}

// authors returns one for each prompt, the first of which is number first.
func (s *Session) authors(prompts [][]int32, first int, w Writing) []author {
	authors := make([]author, len(prompts))
	for i, prompt := range prompts {
		before := prompt
		if s.task.decodes {
			before = []int32{s.start()}
		}
		l := line{w: w, prompt: first + i, all: slices.Clone(before), before: len(before)}
		if authors[i] = &l; w.NumBeams > 1 {
			authors[i] = newSearch(l)
		}
	}
	return authors
}

// start is the token that a decoder begins with.
func (s *Session) start() int32 { return s.model.arch.(translator).Start() }

// line is one text, to which the likeliest token or a drawn one is added.
type line struct {
	w      Writing
	prompt int     // its number
	all    []int32 // what the model has read, and what was added
	before int     // how much of it was not added
	ended  bool
}

func (l *line) done() bool    { return l.ended }
func (l *line) text() []int32 { return l.all[l.before:] }

func (l *line) add(logits []float32) (tokens, from []int32) {
	token := l.w.next(logits, l.all, l.prompt)
	tokens, from = []int32{token}, []int32{0}
	if token == l.w.Stop {
		l.ended = true
		return tokens, from
	}
	l.all = append(l.all, token)
	if l.w.Token != nil {
		l.w.Token(l.prompt, token)
	}
	l.ended = l.complete(l.text())
	return tokens, from
}

// complete says whether nothing is to be added to a text that does not end in Stop.
func (l *line) complete(added []int32) bool {
	return len(added) == l.w.MaxNew || l.w.Ended != nil && l.w.Ended(l.prompt, added)
}
