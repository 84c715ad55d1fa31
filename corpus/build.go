package corpus

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"carillon/job"
	"carillon/shard"
	"carillon/tokenizer"
)

// Model is what a data set must know of the model that it is for.
type Model struct {
	Tokenizer *tokenizer.Tokenizer
	Vocab     int // rows of its embedding
	Context   int // the most tokens that it takes; 0: not known
}

// Build tokenizes the data for a resolved spec and writes it to path as a shard.
func (r *Reading) Build(ctx context.Context, path string, spec job.Spec, m Model, progress Progress) (shard.Hash, Report, error) {
	info, err := infoOf(spec, m)
	if err != nil {
		return shard.Hash{}, Report{}, err
	}
	examples, report, err := r.Tokenize(ctx, spec, m.Tokenizer, m.Context, progress)
	if err != nil {
		return shard.Hash{}, report, err
	}
	hash, err := shard.Build(path, info, examples)
	if err != nil {
		return shard.Hash{}, report, fmt.Errorf("tokenized data: %w", err)
	}
	return hash, report, nil
}

// infoOf is what all examples of a spec's shard have in common.
func infoOf(spec job.Spec, m Model) (info shard.Info, err error) {
	info = shard.Info{Vocab: m.Vocab, Classes: len(spec.Labels), Blank: -1}
	if info.Task, err = shard.ParseTask(cmp.Or(spec.TaskType, job.CausalLM)); err != nil {
		return info, err
	}
	if spec.TokenDropout > 0 {
		if info.Blank, err = blank(m.Tokenizer); err != nil {
			return info, err
		}
	}
	if info.Task == shard.MaskedLM { // newMaker has seen it
		info.Blank, _ = m.Tokenizer.MASK()
		info.Vocab = m.Tokenizer.VocabSize() // no token is replaced by one that is none
	}
	if info.Task == shard.Seq2SeqLM {
		start, ok := m.Tokenizer.PAD() // T5's decoder begins with it
		if !ok {
			return info, errors.New("the base model names no pad_token, with which its decoder would begin: add it to its tokenizer_config.json")
		}
		info.DecoderStart = start
	}
	return info, nil
}

// blank is the token that stands for one that was dropped: the first of those that
// say least.
func blank(tok *tokenizer.Tokenizer) (int32, error) {
	for _, named := range []func() (int32, bool){tok.MASK, tok.UNK, tok.PAD, tok.EOS} {
		if id, ok := named(); ok {
			return id, nil
		}
	}
	return -1, errors.New("token_dropout: the base model names no mask, unknown, padding or end token to write over others: add one to its tokenizer_config.json")
}
