package feature

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"carillon/corpus"
	"carillon/job"
	"carillon/model"
	"carillon/shard"
	"carillon/tokenizer"
)

// dataSet makes what was read into a shard, or takes the one that an earlier run has
// made of it and that lies beside the vectors.
func dataSet(ctx context.Context, r *corpus.Reading, spec job.Spec, facts model.Facts, progress corpus.Progress) (*shard.Set, string, error) {
	path, err := shardPath(r, spec, facts)
	if err != nil {
		return nil, "", err
	}
	if set, err := shard.Open(path); err == nil {
		return set, path, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, "", err
	}
	if err := build(ctx, path, r, spec, facts, progress); err != nil {
		return nil, "", err
	}
	set, err := shard.Open(path)
	return set, path, err
}

// shardPath names a shard by what it follows from: the texts, the recipe, the base's
// tokenizer, and the program that makes tokens of them.
func shardPath(r *corpus.Reading, spec job.Spec, facts model.Facts) (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	info, err := os.Stat(exe)
	if err != nil {
		return "", err
	}
	spec.Feature = nil // it says what becomes of the tokens
	name := sha256.Sum256(fmt.Appendf(nil, "carillon feature data %d\njob %x\nprogram %d %d\n", version, spec.Identity(facts.Hash, r.Hash()), info.Size(), info.ModTime().UnixNano()))
	return filepath.Join(folder(spec), hexOf(name)[:32]+".shard"), nil
}

// build makes the shard whole or not at all.
func build(ctx context.Context, path string, r *corpus.Reading, spec job.Spec, facts model.Facts, progress corpus.Progress) error {
	tok, err := tokenizer.Open(spec.BaseModel)
	if err != nil {
		return err
	}
	switch {
	case tok.VocabSize() > facts.Vocab:
		return fmt.Errorf("%s: the tokenizer has %d tokens, and the model's vocab_size is %d", spec.BaseModel, tok.VocabSize(), facts.Vocab)
	case spec.SequenceLen > facts.Context:
		return fmt.Errorf("sequence_len: %d; the base model %s takes at most %d tokens", spec.SequenceLen, spec.BaseModel, facts.Context)
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".part-")
	if err != nil {
		return err
	}
	part := filepath.Join(dir, "shard")
	_, _, err = r.Build(ctx, part, spec, corpus.Model{Tokenizer: tok, Vocab: facts.Vocab, Context: facts.Context}, progress)
	if err == nil {
		err = os.Rename(part, path)
	}
	return errors.Join(err, os.RemoveAll(dir))
}
