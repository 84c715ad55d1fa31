package model

import "fmt"

// Prompts are continued in batches of at most generateRows, padded on the right
// to a multiple of generateStep tokens, so that few programs are compiled.
const (
	generateRows = 16
	generateStep = 16
)

// Writing says how prompts are continued.
type Writing struct {
	MaxNew int   // the most tokens to add to each
	Stop   int32 // what ends a text, and is left out; negative: nothing
	Sampling
	// Ended, unless it is nil, says of a prompt's number and what was added to it
	// whether the text is complete: for what is not one token, such as a word.
	Ended func(prompt int, added []int32) bool
}

// Generate is Write by the likeliest token each time.
func (s *Session) Generate(prompts [][]int32, maxNew int, stop int32) ([][]int32, error) {
	return s.Write(prompts, Writing{MaxNew: maxNew, Stop: stop})
}

// Write continues each prompt until Stop comes or MaxNew tokens have. It returns
// the new tokens alone. Every token is computed from the whole text before it.
func (s *Session) Write(prompts [][]int32, w Writing) ([][]int32, error) {
	if err := w.Check(); err != nil {
		return nil, err
	}
	maxNew := w.MaxNew
	length := 0
	for i, prompt := range prompts {
		if len(prompt) == 0 {
			return nil, fmt.Errorf("prompt %d is empty", i)
		}
		if n := len(prompt) + maxNew; n > s.model.config.Context {
			return nil, fmt.Errorf("prompt %d has %d tokens; with %d more it is longer than the model's context of %d", i, len(prompt), maxNew, s.model.config.Context)
		}
		length = max(length, len(prompt)+maxNew)
	}
	length = min((length+generateStep-1)/generateStep*generateStep, s.model.config.Context)
	var all [][]int32
	for rows, first := min(len(prompts), generateRows), 0; len(prompts) > 0; first += rows {
		n := min(rows, len(prompts))
		batch := newDraft(prompts[:n], rows, length)
		batch.first = first
		if err := batch.write(s, w); err != nil {
			return nil, err
		}
		all = append(all, batch.texts...)
		prompts = prompts[n:]
	}
	return all, nil
}

// draft is a batch of texts that are being continued.
type draft struct {
	in    Input
	first int       // the number of the first row's prompt
	last  []int32   // position of each row's last token
	texts [][]int32 // what was added to each prompt
	done  []bool
}

// newDraft lays prompts out in a batch; rows beyond them repeat nothing and wait.
func newDraft(prompts [][]int32, rows, length int) *draft {
	n := rows * length
	d := &draft{
		in:    Input{Rows: rows, Len: length, Tokens: make([]int32, n), Mask: make([]int32, n)},
		last:  make([]int32, rows),
		texts: make([][]int32, len(prompts)),
		done:  make([]bool, len(prompts)),
	}
	for r, prompt := range prompts {
		copy(d.in.Tokens[r*length:], prompt)
		for t := range prompt {
			d.in.Mask[r*length+t] = 1
		}
		d.last[r] = int32(len(prompt) - 1)
	}
	return d
}

// write adds a token to every text that is not done, up to w.MaxNew times.
func (d *draft) write(s *Session, w Writing) error {
	for range w.MaxNew {
		if d.finished() {
			return nil
		}
		logits, err := s.NextLogits(d.in, d.last)
		if err != nil {
			return err
		}
		vocab := len(logits) / d.in.Rows
		for r := range d.texts {
			if d.done[r] {
				continue
			}
			d.add(r, w.next(logits[r*vocab:(r+1)*vocab], d.text(r), d.first+r), w.Stop)
			if w.Ended != nil && !d.done[r] {
				d.done[r] = w.Ended(d.first+r, d.texts[r])
			}
		}
	}
	return nil
}

// text is a row's prompt with what was added.
func (d *draft) text(r int) []int32 { return d.in.Tokens[r*d.in.Len:][:d.last[r]+1] }

func (d *draft) finished() bool {
	for _, done := range d.done {
		if !done {
			return false
		}
	}
	return true
}

func (d *draft) add(r int, token, stop int32) {
	if token == stop {
		d.done[r] = true
		return
	}
	d.texts[r] = append(d.texts[r], token)
	d.last[r]++
	at := r*d.in.Len + int(d.last[r])
	d.in.Tokens[at], d.in.Mask[at] = token, 1
}

// likeliest returns the first index of the largest logit.
func likeliest(logits []float32) int32 {
	best := 0
	for i, x := range logits {
		if x > logits[best] {
			best = i
		}
	}
	return int32(best)
}
