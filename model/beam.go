package model

import (
	"cmp"
	"math"
	"slices"
)

// never is the logarithm of a probability that loses against all others.
const never = -1e9

// search writes the likeliest texts as a whole that it finds by keeping several at
// a time, as transformers does it.
type search struct {
	line
	running []beam // the likeliest first; of the others only so many that all rows have one
	found   []beam // complete, the best first: at most as many
	over    bool
}

// beam is a text on its way.
type beam struct {
	added []int32
	from  int     // the row whose text it goes on with
	token int32   // what was added last, Stop too
	score float64 // logarithm of its probability; of a complete text divided by a power of its length
	ended bool
}

// newSearch begins with one text: as long as all rows are the same, only the first
// may go on.
func newSearch(l line) *search {
	s := &search{line: l, running: make([]beam, l.w.NumBeams)}
	for i := range s.running[1:] {
		s.running[1+i].score = never
	}
	return s
}

func (s *search) done() bool { return s.over }

func (s *search) text() []int32 {
	if len(s.found) == 0 {
		return nil
	}
	return s.found[0].added
}

// add goes on with the likeliest of what all rows may become, twice as many as are
// kept: some may be complete.
func (s *search) add(logits []float32) (tokens, from []int32) {
	n := s.w.NumBeams
	length := 1 + len(s.running[0].added)
	best := s.likeliest(logits, 2*n)
	var running []beam
	for i, b := range best {
		switch {
		case b.ended && i < n:
			b.score /= math.Pow(float64(length), s.w.LengthPenalty)
			s.found = append(s.found, b)
		case !b.ended && len(running) < n:
			running = append(running, b)
		}
	}
	slices.SortStableFunc(s.found, func(a, b beam) int { return cmp.Compare(b.score, a.score) })
	s.found = s.found[:min(n, len(s.found))]
	s.over = len(running) == 0 || s.enough(running[0].score, length)
	if s.over {
		s.tell()
		return make([]int32, n), make([]int32, n)
	}
	for len(running) < n {
		running = append(running, beam{added: running[0].added, from: running[0].from, token: running[0].token, score: never})
	}
	s.running = running
	for _, b := range running {
		tokens, from = append(tokens, b.token), append(from, int32(b.from))
	}
	return tokens, from
}

// likeliest returns the k likeliest texts that are one token longer, in order.
func (s *search) likeliest(logits []float32, k int) []beam {
	vocab := len(logits) / len(s.running)
	best := make([]beam, 0, k+1)
	for row, b := range s.running {
		for token, p := range s.chances(logits[row*vocab:(row+1)*vocab], b.added) {
			next := beam{added: b.added, from: row, token: int32(token), score: b.score + float64(p)}
			if len(best) == k && cmp.Compare(next.score, best[k-1].score) <= 0 {
				continue
			}
			at, _ := slices.BinarySearchFunc(best, next, func(a, b beam) int {
				return cmp.Or(cmp.Compare(b.score, a.score), -1) // behind its equals
			})
			best = slices.Insert(best, at, next)[:min(k, len(best)+1)]
		}
	}
	for i := range best {
		best[i].grow(s)
	}
	return best
}

// grow puts the last token to the others, unless it is Stop.
func (b *beam) grow(s *search) {
	if b.ended = b.token == s.w.Stop; b.ended {
		return
	}
	b.added = append(slices.Clip(b.added), b.token)
	b.ended = s.complete(b.added)
}

// chances are the logarithms of the probabilities of what may come next in a row.
func (s *search) chances(logits []float32, added []int32) []float32 {
	most, sum := float64(slices.Max(logits)), 0.0
	for _, x := range logits {
		sum += math.Exp(float64(x) - most)
	}
	all := make([]float32, len(logits))
	for i, x := range logits {
		all[i] = float32(float64(x) - most - math.Log(sum))
	}
	if p := s.w.RepetitionPenalty; p != 0 && p != 1 {
		return penalise(all, slices.Concat(s.all, added), float32(p))
	}
	return all
}

// enough says whether the complete texts are the result, where best is the score of
// the likeliest that is not and has length tokens.
func (s *search) enough(best float64, length int) bool {
	if len(s.found) < s.w.NumBeams {
		return false
	}
	if s.w.EarlyStopping == "true" {
		return true
	}
	if s.w.EarlyStopping == "never" && s.w.LengthPenalty > 0 {
		length = s.w.MaxNew
	}
	return best/math.Pow(float64(length), s.w.LengthPenalty) <= s.found[len(s.found)-1].score
}

// tell tells of the tokens of the result.
func (s *search) tell() {
	for _, token := range s.text() {
		if s.w.Token != nil {
			s.w.Token(s.prompt, token)
		}
	}
}
