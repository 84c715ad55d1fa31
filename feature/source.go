package feature

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"carillon/ask"
	"carillon/backend"
	"carillon/corpus"
	"carillon/job"
	"carillon/model"
	"carillon/shard"
)

// Encoder makes vectors of texts; package model has one.
type Encoder interface {
	// Features returns the vectors [Rows, d] of a batch, of which it reads
	// Tokens and Mask. The same batch gives the same bits.
	Features(in model.Input) ([]float32, error)
}

// Source is a recipe's examples with what makes vectors of them. The model is loaded
// when a vector is missing. A source is for one goroutine at a time.
type Source struct {
	spec     job.Spec // resolved
	set      *shard.Set
	facts    model.Facts // of the base model
	key      Key
	progress corpus.Progress
	words    *words // of a language model: the tokens that are learnt; else nil
	load     func() (Encoder, error)
	session  func() (*model.Session, error) // of a language model
	close    []func() error

	shard string // file of the set, for other processes
	run   func(ctx context.Context, p Part) error
	lost  func(error)
}

// Open reads a recipe's data, and what the base model is.
func Open(ctx context.Context, be *backend.Backend, spec job.Spec, progress corpus.Progress) (*Source, error) {
	var facts model.Facts
	var g errgroup.Group
	base, options := spec.BaseModel, optionsOf(spec) // Read resolves the spec meanwhile
	g.Go(func() (err error) {
		facts, err = model.InspectBase(ctx, base, options)
		return err
	})
	reading, spec, err := ask.Read(ctx, spec, progress)
	if err = cmp.Or(err, g.Wait()); err != nil {
		return nil, err
	}
	if err := suits(spec); err != nil {
		return nil, err
	}
	set, path, err := dataSet(ctx, reading, spec, facts, progress)
	if err != nil {
		return nil, err
	}
	s := newSource(be, spec, set, facts, progress)
	s.shard, s.close = path, append(s.close, set.Close)
	return s, nil
}

// OpenSet is Open for data that is in a shard already; spec is resolved, and the
// set remains the caller's.
func OpenSet(be *backend.Backend, spec job.Spec, set *shard.Set, progress corpus.Progress) (*Source, error) {
	if err := suits(spec); err != nil {
		return nil, err
	}
	facts, err := model.InspectBase(context.Background(), spec.BaseModel, optionsOf(spec))
	if err != nil {
		return nil, err
	}
	return newSource(be, spec, set, facts, progress), nil
}

func optionsOf(spec job.Spec) model.Options {
	return model.Options{ReinitWeights: spec.ReinitWeights, Seed: spec.Seed}
}

// suits says why nothing can be fitted to a recipe's data.
func suits(spec job.Spec) error {
	switch {
	case spec.TaskType == job.Regression && spec.Feature.Classifier == "mlp":
		return fmt.Errorf("feature.classifier: mlp, and the data is for task_type %s; an mlp tells classes apart: want classifier logistic, which is a ridge regression for numbers", spec.TaskType)
	case writes(spec) && spec.Feature.Classifier == "mlp":
		return fmt.Errorf("feature.classifier: mlp, and the data is for task_type %s; an mlp tells classes apart: want classifier logistic, which is the output layer for text", spec.TaskType)
	case spec.TaskType == job.MaskedLM:
		return fmt.Errorf("method: feature, and the data is for task_type %s; want %s, %s, %s or %s, or method lora or prefix", spec.TaskType, job.SeqCls, job.Regression, job.CausalLM, job.Seq2SeqLM)
	}
	return nil
}

// writes tells whether a recipe's model is to write text.
func writes(spec job.Spec) bool {
	return spec.TaskType == job.CausalLM || spec.TaskType == job.Seq2SeqLM
}

func newSource(be *backend.Backend, spec job.Spec, set *shard.Set, facts model.Facts, progress corpus.Progress) *Source {
	s := &Source{spec: spec, set: set, facts: facts, progress: progress}
	s.load = sync.OnceValues(func() (Encoder, error) { return s.encoder(be) })
	s.session = sync.OnceValues(func() (*model.Session, error) { return s.open(be) })
	what := spec.Feature.Pooling
	if writes(spec) {
		s.words, what = wordsOf(s), fmt.Sprint("states, packed ", spec.SamplePacking)
	}
	s.key = KeyOf(facts.Hash, set.Hash(), what, fmt.Sprint(be.Kind(), " ", be.Threads()))
	return s
}

// encoder loads the base model to make one vector of a text.
func (s *Source) encoder(be *backend.Backend) (Encoder, error) {
	m, err := s.model(be)
	if err != nil {
		return nil, err
	}
	e, err := m.Encoder(s.spec.Feature.Pooling)
	if err != nil {
		return nil, err
	}
	s.close = append(s.close, e.Close)
	return e, nil
}

// model loads the base model.
func (s *Source) model(be *backend.Backend) (*model.Model, error) {
	m, err := model.Load(be, s.spec.BaseModel, optionsOf(s.spec))
	if err != nil {
		return nil, err
	}
	s.close = append(s.close, m.Close)
	if m.Hash() != s.facts.Hash {
		return nil, fmt.Errorf("base model %s: its files changed while they were read", s.spec.BaseModel)
	}
	return m, nil
}

// Close frees the model.
func (s *Source) Close() error {
	var errs []error
	for _, fn := range slices.Backward(s.close) {
		errs = append(errs, fn())
	}
	return errors.Join(errs...)
}

// vectors returns the vectors of the examples; those before from need not be there.
// computed is how many had to be made.
func (s *Source) vectors(ctx context.Context, from int) (c *Cache, computed int, err error) {
	l, dir, encode := s.layout(), folder(s.spec), s.maker()
	if c := l.whole(dir, from); c != nil {
		return c, 0, nil
	}
	missing := l.missing(dir, from)
	if s.run != nil && s.spec.Nodes > 1 {
		if err := s.together(ctx); err != nil {
			return nil, 0, err
		}
	}
	c, err = l.fill(dir, from, func(a, b int) ([]float32, error) { return encode(ctx, a, b) })
	return c, missing, err
}

// maker returns what makes rows of the file of vectors.
func (s *Source) maker() func(ctx context.Context, from, to int) ([]float32, error) {
	if s.words != nil {
		return s.states
	}
	return s.encode
}

func (s *Source) layout() layout {
	if s.words != nil {
		return layout{s.key, s.words.rows(), s.facts.Width, tokensInBlock}
	}
	return layout{s.key, s.set.Len() + s.set.HeldOutLen(), s.facts.Width, textsInBlock}
}

// folder is where a recipe's vectors are kept.
func folder(spec job.Spec) string {
	return filepath.Join(cmp.Or(spec.Store, filepath.Join(spec.OutputDir, "store")), "features")
}

// encode makes the vectors of examples [from, to). The longest stand together in
// the first batch, and so on; a batch has about as many tokens as any other.
func (s *Source) encode(ctx context.Context, from, to int) ([]float32, error) {
	encoder, err := s.load()
	if err != nil {
		return nil, err
	}
	examples, order := make([]shard.Example, to-from), make([]int, to-from)
	for i := range examples {
		examples[i], order[i] = s.example(from+i), i
	}
	slices.SortStableFunc(order, func(a, b int) int { return len(examples[b].Tokens) - len(examples[a].Tokens) })
	width := s.facts.Width
	out := make([]float32, len(order)*width)
	for len(order) > 0 {
		if s.progress != nil {
			s.progress("encode", to-len(order), s.set.Len()+s.set.HeldOutLen())
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		length := min(padded(len(examples[order[0]].Tokens)), s.facts.Context)
		rows := max(1, batchTokens/length)
		batch := order[:min(rows, len(order))]
		order = order[len(batch):]
		vectors, err := encoder.Features(inputOf(examples, batch, rows, length))
		if err != nil {
			return nil, err
		}
		for r, i := range batch {
			copy(out[i*width:(i+1)*width], vectors[r*width:])
		}
	}
	return out, nil
}

// batchTokens is the size of a batch.
const batchTokens = 2048

// padded is the length that n tokens are padded to: a power of two, or half as much
// again. Each is a program to compile.
func padded(n int) int {
	for length := 8; ; length *= 2 {
		switch {
		case n <= length:
			return length
		case n <= length+length/2 && length >= 16:
			return length + length/2
		}
	}
}

// inputOf is a batch of some examples; rows after them are empty.
func inputOf(examples []shard.Example, batch []int, rows, length int) model.Input {
	in := model.Input{Rows: rows, Len: length, Tokens: make([]int32, rows*length), Mask: make([]int32, rows*length)}
	for r, i := range batch {
		x := examples[i]
		copy(in.Tokens[r*length:], x.Tokens)
		for t := range x.Tokens {
			part := int32(1)
			for _, start := range x.Starts {
				if t >= int(start) {
					part++
				}
			}
			in.Mask[r*length+t] = part
		}
	}
	return in
}

func hexOf(sum [sha256.Size]byte) string { return hex.EncodeToString(sum[:]) }
