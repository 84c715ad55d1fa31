package model

import (
	"errors"
	"fmt"
	"math"
	"slices"
)

// Prompts are gone on with in batches of at most generateRows rows, padded on the
// right to a multiple of generateStep tokens, or where they are long of an eighth to
// a quarter of their length, so that few programs are compiled.
const (
	generateRows = 16
	generateStep = 16
)

// Writing says how prompts are gone on with.
type Writing struct {
	MaxNew int   // the most tokens to add to each
	Stop   int32 // what ends a text, and is left out; negative: nothing
	Sampling

	// NumBeams is how many texts are kept for each prompt at a time, those that are
	// likeliest as a whole; the best of them is returned. 0 or 1: one, to which the
	// next token is added without looking back.
	NumBeams int
	// LengthPenalty: the logarithm of a complete text's probability is divided by
	// its length to this power, so that longer ones stand a chance. 0: by nothing;
	// transformers' own value is 1. Of beams only.
	LengthPenalty float64
	// EarlyStopping says when beams are enough, in transformers' words: "true" when
	// NumBeams texts are complete, "false" or "" when none of those that are not
	// would be better than the worst of them if it ended now, "never" when none can
	// become better.
	EarlyStopping string

	// Ended, unless it is nil, says of a prompt's number and what was added to it
	// whether the text is complete: for what is not one token, such as a word.
	Ended func(prompt int, added []int32) bool
	// Token, unless it is nil, is told of every token that is added to a prompt, as
	// soon as it is certain: with beams when the text is complete. Neither it nor
	// Ended may call the session.
	Token func(prompt int, token int32)
}

// Check returns what is wrong with the settings.
func (w Writing) Check() error {
	switch {
	case w.NumBeams < 0:
		return fmt.Errorf("num_beams %d: want 1 (none) or more", w.NumBeams)
	case math.IsNaN(w.LengthPenalty) || math.IsInf(w.LengthPenalty, 0):
		return fmt.Errorf("length penalty %v: want a number", w.LengthPenalty)
	case !slices.Contains([]string{"", "true", "false", "never"}, w.EarlyStopping):
		return fmt.Errorf("early stopping %q: want true, false or never", w.EarlyStopping)
	case w.NumBeams > 1 && w.Temperature > 0:
		return fmt.Errorf("temperature %v with %d beams: beams keep the likeliest texts and draw nothing; want temperature 0 or one beam", w.Temperature, w.NumBeams)
	}
	return w.Sampling.Check()
}

// beams is how many texts of a prompt are written at a time.
func (w Writing) beams() int { return max(1, w.NumBeams) }

// Generate is Write by the likeliest token each time.
func (s *Session) Generate(prompts [][]int32, maxNew int, stop int32) ([][]int32, error) {
	return s.Write(prompts, Writing{MaxNew: maxNew, Stop: stop})
}

// Write goes on with each prompt, or where the model has a decoder lets it answer
// each, until Stop comes or MaxNew tokens have. It returns the new tokens alone.
func (s *Session) Write(prompts [][]int32, w Writing) ([][]int32, error) {
	if err := s.checkWriting(prompts, w); err != nil || w.MaxNew < 1 {
		return make([][]int32, len(prompts)), err
	}
	rows := max(1, min(len(prompts), generateRows/w.beams()))
	longest := 0
	for _, p := range prompts {
		longest = max(longest, len(p))
	}
	var all [][]int32
	for batch := range slices.Chunk(prompts, rows) {
		texts, err := s.newDraft(batch, rows, longest, w).write(s.authors(batch, len(all), w))
		if err != nil {
			return nil, err
		}
		all = append(all, texts...)
	}
	return all, nil
}

// checkWriting refuses what cannot be written, before anything is run.
func (s *Session) checkWriting(prompts [][]int32, w Writing) error {
	if err := w.Check(); err != nil {
		return err
	}
	if s.task.outputs > 0 || !s.task.decodes && !s.model.arch.Causal() {
		return fmt.Errorf("the model's task is %v: it does not go on with a text", s.task)
	}
	if w.NumBeams > 1 && s.model.config.Vocab < 2 {
		return errors.New("beams need a vocabulary of at least two tokens")
	}
	if s.task.decodes {
		if err := checkIDs([]int32{s.start()}, 1, s.model.config.Vocab); err != nil {
			return fmt.Errorf("decoder_start_token_id, or pad_token_id in its place: %w", err)
		}
	}
	for i, prompt := range prompts {
		if len(prompt) == 0 {
			return fmt.Errorf("prompt %d is empty", i)
		}
		n, most := len(prompt)+max(w.MaxNew, 0), s.Context()
		if s.task.decodes {
			n = max(len(prompt), w.MaxNew)
		}
		if n > most {
			return fmt.Errorf("prompt %d has %d tokens; with %d more it is longer than the model's context of %d", i, len(prompt), w.MaxNew, most)
		}
	}
	return nil
}

// roundUp is the length of the rows for n tokens.
func (s *Session) roundUp(n int) int {
	step := generateStep
	for 8*step <= n {
		step *= 2
	}
	return min((n+step-1)/step*step, s.Context())
}
