package feature

import (
	"context"
	"slices"
	"sort"

	"carillon/backend"
	"carillon/model"
	"carillon/shard"
)

// tokensInBlock are the states of tokens in a block: far more than a text has, since
// a text that is cut by the end of a block is read for both.
const tokensInBlock = 8192

// words are the tokens that a language model learns to say, example by example: each
// is a row, and what the model's head sees before it is the row's vector.
type words struct {
	first  []int // the row of each example's first one, and after them all the number of rows
	labels []int32
	held   int // the first row that is held out
}

func wordsOf(s *Source) *words {
	w := &words{first: []int{0}}
	for i := range s.set.Len() + s.set.HeldOutLen() {
		if i == s.set.Len() {
			w.held = len(w.labels)
		}
		_, labels := s.learnt(s.example(i))
		w.labels = append(w.labels, labels...)
		w.first = append(w.first, len(w.labels))
	}
	if s.set.HeldOutLen() == 0 {
		w.held = len(w.labels)
	}
	return w
}

func (w *words) rows() int { return len(w.labels) }

// learnt returns the tokens of an example that are learnt, and where the model stands
// when it says each: before it, in a decoder's row in its place.
func (s *Source) learnt(x shard.Example) (at []int, labels []int32) {
	all, before := x.Labels, 1
	if all == nil {
		all = x.Tokens
	}
	if s.decodes() {
		before = 0
	}
	for t := before; t < len(all); t++ {
		if all[t] >= 0 {
			at, labels = append(at, t-before), append(labels, all[t])
		}
	}
	return at, labels
}

// decodes says whether the model has a decoder with rows of its own.
func (s *Source) decodes() bool { return s.set.Info().Task == shard.Seq2SeqLM }

// open loads the base model with its output layer as what is trained.
func (s *Source) open(be *backend.Backend) (*model.Session, error) {
	m, err := s.model(be)
	if err != nil {
		return nil, err
	}
	session, err := m.Train(s.spec)
	if err != nil {
		return nil, err
	}
	s.close = append(s.close, session.Close)
	return session, nil
}

// states makes the rows [from, to): the longest texts stand together, as for encode.
func (s *Source) states(ctx context.Context, from, to int) ([]float32, error) {
	session, err := s.session()
	if err != nil {
		return nil, err
	}
	start := sort.SearchInts(s.words.first, from+1) - 1
	var examples []shard.Example
	var order []int
	for i := start; s.words.first[i] < to; i++ {
		order, examples = append(order, i-start), append(examples, s.example(i))
	}
	slices.SortStableFunc(order, func(a, b int) int { return len(examples[b].Tokens) - len(examples[a].Tokens) })
	target := s.targetLen(examples)
	out := make([]float32, (to-from)*s.facts.Width)
	for done := 0; done < len(order); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		length := min(padded(len(examples[order[done]].Tokens)), s.facts.Context)
		rows := max(1, batchTokens/max(length, target))
		batch := order[done:min(done+rows, len(order))]
		in := inputOf(examples, batch, rows, length)
		if target > 0 {
			s.addDecoder(&in, examples, batch, target)
			length = target
		}
		states, err := session.States(in)
		if err != nil {
			return nil, err
		}
		for r, i := range batch {
			s.pick(out, from, start+i, states[r*length*s.facts.Width:], examples[i])
		}
		if done += len(batch); s.progress != nil {
			s.progress("encode", s.words.first[start]+done, s.words.rows())
		}
	}
	return out, nil
}

// targetLen is the length of a decoder's rows for examples; 0: there is no decoder.
func (s *Source) targetLen(examples []shard.Example) (n int) {
	if s.decodes() {
		for _, x := range examples {
			n = max(n, padded(len(x.Labels)))
		}
	}
	return n
}

// addDecoder adds what a decoder reads of a batch, in rows of length target.
func (s *Source) addDecoder(in *model.Input, examples []shard.Example, batch []int, target int) {
	in.TargetLen = target
	in.DecoderTokens = make([]int32, in.Rows*in.TargetLen)
	for r, i := range batch {
		said := append(slices.Clone(examples[i].Labels), slices.Repeat([]int32{shard.Ignore}, target-len(examples[i].Labels))...)
		s.set.ShiftRight(in.DecoderTokens[r*target:][:target], said)
	}
}

// pick copies what is learnt of an example out of its states to rows from from on.
func (s *Source) pick(out []float32, from, example int, states []float32, x shard.Example) {
	width := s.facts.Width
	at, _ := s.learnt(x)
	for k, t := range at {
		if row := s.words.first[example] + k - from; row >= 0 && row < len(out)/width {
			copy(out[row*width:][:width], states[t*width:])
		}
	}
}
