package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"carillon/checkpoint"
	"carillon/corpus"
	"carillon/job"
	"carillon/model"
	"carillon/objstore"
	"carillon/shard"
	"carillon/tokenizer"
)

// Data is a job's data set, tokenized: one shard file.
type Data struct {
	Path    string // of the shard
	Hash    shard.Hash
	Train   int // training examples
	HeldOut int // examples to evaluate
	Report  corpus.Report
}

// Prepare reads the data sets of a spec, tokenizes them with the base model's
// tokenizer, and writes them to dir as one shard.
func Prepare(ctx context.Context, spec job.Spec, dir string, progress corpus.Progress) (*Data, error) {
	spec, reading, err := resolve(ctx, spec, progress)
	if err != nil {
		return nil, err
	}
	base, err := model.Inspect(ctx, spec)
	if err != nil {
		return nil, err
	}
	return prepare(ctx, spec, base, reading, dir, progress)
}

// prepare is Prepare for a base model that was inspected already: its weights,
// which may be large, are hashed once. reading may be nil: then the data is read.
func prepare(ctx context.Context, spec job.Spec, base model.Facts, reading *corpus.Reading, dir string, progress corpus.Progress) (*Data, error) {
	tok, err := openTokenizer(spec, base)
	if err != nil {
		return nil, err
	}
	if reading == nil {
		if reading, err = corpus.Load(ctx, spec, progress); err != nil {
			return nil, err
		}
		// All of it is seen only now: is it what its first rows said?
		if _, err := reading.Resolve(spec, spec.TaskType == job.Seq2SeqLM); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	d := &Data{Path: filepath.Join(dir, "data.shard")}
	d.Hash, d.Report, err = reading.Build(ctx, d.Path, spec, corpus.Model{Tokenizer: tok, Vocab: base.Vocab, Context: base.Context}, progress)
	d.Train, d.HeldOut = d.Report.Train, d.Report.HeldOut
	return d, err
}

// openTokenizer opens the base model's tokenizer, and makes sure that the model
// knows all its tokens and takes sequences of the recipe's length.
func openTokenizer(spec job.Spec, base model.Facts) (*tokenizer.Tokenizer, error) {
	tok, err := tokenizer.Open(spec.BaseModel)
	switch {
	case err != nil:
		return nil, err
	case tok.VocabSize() > base.Vocab:
		return nil, fmt.Errorf("%s: the tokenizer has %d tokens, and the model's vocab_size is %d", spec.BaseModel, tok.VocabSize(), base.Vocab)
	case spec.SequenceLen > base.Context-base.Lead && base.Lead > 0:
		return nil, fmt.Errorf("sequence_len: %d; the base model %s takes at most %d tokens, of which method %s takes %d", spec.SequenceLen, spec.BaseModel, base.Context, spec.Method, base.Lead)
	case spec.SequenceLen > base.Context:
		return nil, fmt.Errorf("sequence_len: %d; the base model %s takes at most %d tokens", spec.SequenceLen, spec.BaseModel, base.Context)
	}
	return tok, nil
}

// fetchData gets a shard from the store into dir.
func fetchData(ctx context.Context, store objstore.Store, hash, dir string) (*Data, error) {
	r, _, err := store.Get(ctx, checkpoint.ShardKey(hash), 0, -1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	path := filepath.Join(dir, "data.shard")
	s, err := shard.Receive(path, hash, r)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return &Data{Path: path, Hash: s.Hash(), Train: s.Len(), HeldOut: s.HeldOutLen()}, nil
}

// put makes the shard an object of the store, under its hash.
func (d *Data) put(ctx context.Context, store objstore.Store) error {
	f, err := os.Open(d.Path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	err = store.PutIfAbsent(ctx, checkpoint.ShardKey(d.Hash.String()), f, info.Size())
	if errors.Is(err, objstore.ErrExist) {
		return nil // its name is its content
	}
	return err
}
