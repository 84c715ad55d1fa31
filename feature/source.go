package feature

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"carillon/ask"
	"carillon/backend"
	"carillon/corpus"
	"carillon/job"
	"carillon/model"
	"carillon/shard"
	"carillon/tokenizer"
)

// Encoder makes vectors of texts; package model has one.
type Encoder interface {
	// Width returns the length of a vector.
	Width() int
	// Features returns the vectors [Rows, Width] of a batch, of which it reads
	// Tokens and Mask. The same batch gives the same bits.
	Features(in model.Input) ([]float32, error)
}

// Source is a recipe's examples with the model that makes vectors of them. It is
// for one goroutine at a time.
type Source struct {
	spec     job.Spec // resolved
	set      *shard.Set
	encoder  Encoder
	base     [sha256.Size]byte
	key      Key
	context  int // longest text that the model reads, in tokens
	progress corpus.Progress
	close    []func() error
}

// Open reads a recipe's data and the base model.
func Open(ctx context.Context, be *backend.Backend, spec job.Spec, progress corpus.Progress) (*Source, error) {
	reading, spec, err := ask.Read(ctx, spec, progress)
	if err != nil {
		return nil, err
	}
	return open(be, spec, progress, func(m *model.Model) (*shard.Set, error) { return built(ctx, reading, spec, m, progress) })
}

// OpenSet is Open for data that is in a shard already; spec is resolved, and the
// set remains the caller's.
func OpenSet(be *backend.Backend, spec job.Spec, set *shard.Set, progress corpus.Progress) (*Source, error) {
	return open(be, spec, progress, func(*model.Model) (*shard.Set, error) { return set, nil })
}

func open(be *backend.Backend, spec job.Spec, progress corpus.Progress, data func(*model.Model) (*shard.Set, error)) (s *Source, err error) {
	if spec.TaskType != job.SeqCls {
		return nil, fmt.Errorf("method: feature, and the data is for task_type %s; a classifier on top tells classes apart: want data with labels, or method lora or prefix", spec.TaskType)
	}
	s = &Source{spec: spec, progress: progress}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	m, err := model.Load(be, spec.BaseModel, model.Options{})
	if err != nil {
		return s, err
	}
	s.close = append(s.close, m.Close)
	s.base, s.context = m.Hash(), m.Config().Context
	if s.set, err = data(m); err != nil {
		return s, err
	}
	e, err := m.Encoder(spec.Feature.Pooling)
	if err != nil {
		return s, err
	}
	s.encoder, s.close = e, append(s.close, e.Close)
	s.key = KeyOf(s.base, s.set.Hash(), spec.Feature.Pooling, fmt.Sprint(be.Kind(), " ", be.Threads()))
	return s, nil
}

// built makes what was read into a shard, in a file that is gone at once: an open
// set is mapped, and needs no name.
func built(ctx context.Context, r *corpus.Reading, spec job.Spec, m *model.Model, progress corpus.Progress) (*shard.Set, error) {
	tok, err := tokenizer.Open(spec.BaseModel)
	if err != nil {
		return nil, err
	}
	c := m.Config()
	switch {
	case tok.VocabSize() > c.Vocab:
		return nil, fmt.Errorf("%s: the tokenizer has %d tokens, and the model's vocab_size is %d", spec.BaseModel, tok.VocabSize(), c.Vocab)
	case spec.SequenceLen > c.Context:
		return nil, fmt.Errorf("sequence_len: %d; the base model %s takes at most %d tokens", spec.SequenceLen, spec.BaseModel, c.Context)
	}
	dir, err := os.MkdirTemp("", "carillon-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "data.shard")
	if _, _, err := r.Build(ctx, path, spec, corpus.Model{Tokenizer: tok, Vocab: c.Vocab, Context: c.Context}, progress); err != nil {
		return nil, err
	}
	return shard.Open(path)
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
	dir := filepath.Join(cmp.Or(s.spec.Store, filepath.Join(s.spec.OutputDir, "store")), "features")
	rows := s.set.Len() + s.set.HeldOutLen()
	return Fill(dir, s.key, rows, s.encoder.Width(), from, func(a, b int) ([]float32, error) { return s.encode(ctx, a, b) })
}

// encode makes the vectors of examples [from, to). The longest stand together in
// the first batch, and so on; a batch has about as many tokens as any other.
func (s *Source) encode(ctx context.Context, from, to int) ([]float32, error) {
	examples, order := make([]shard.Example, to-from), make([]int, to-from)
	for i := range examples {
		examples[i], order[i] = s.example(from+i), i
	}
	slices.SortStableFunc(order, func(a, b int) int { return len(examples[b].Tokens) - len(examples[a].Tokens) })
	width := s.encoder.Width()
	out := make([]float32, len(order)*width)
	for len(order) > 0 {
		if s.progress != nil {
			s.progress("encode", to-len(order), s.set.Len()+s.set.HeldOutLen())
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		length := min(padded(len(examples[order[0]].Tokens)), s.context)
		rows := max(1, batchTokens/length)
		batch := order[:min(rows, len(order))]
		order = order[len(batch):]
		vectors, err := s.encoder.Features(inputOf(examples, batch, rows, length))
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
