package ask

import (
	"context"
	"os"
	"path/filepath"

	"carillon/corpus"
	"carillon/job"
	"carillon/model"
	"carillon/shard"
)

// Read reads a recipe's data and returns it with the recipe resolved: the data
// decides what a model must be opened for.
func Read(ctx context.Context, spec job.Spec, progress corpus.Progress) (*corpus.Reading, job.Spec, error) {
	encoderDecoder, err := model.EncoderDecoder(spec.BaseModel)
	if err != nil {
		return nil, spec, err
	}
	r, err := corpus.Load(ctx, spec, progress)
	if err != nil {
		return nil, spec, err
	}
	spec, err = r.Resolve(spec, encoderDecoder)
	return r, spec, err
}

// Data makes what was read for a resolved recipe into a data set, in this model's
// tokens, in a file that is gone when the set is closed.
func (a *Asker) Data(ctx context.Context, r *corpus.Reading, spec job.Spec, progress corpus.Progress) (*shard.Set, error) {
	return a.data(ctx, r, spec, a.session().Context(), progress)
}

// Data is a data set that all adapters can be asked of: see Asker.Data.
func (s *Several) Data(ctx context.Context, r *corpus.Reading, spec job.Spec, progress corpus.Progress) (*shard.Set, error) {
	longest := s.base.model.Config().Context
	for _, a := range s.adapters {
		longest = min(longest, a.session().Context())
	}
	return s.base.data(ctx, r, spec, longest, progress)
}

// data makes a data set of rows of at most so many tokens.
func (b *base) data(ctx context.Context, r *corpus.Reading, spec job.Spec, longest int, progress corpus.Progress) (*shard.Set, error) {
	dir, err := os.MkdirTemp("", "carillon-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) // an open set is mapped, and needs no name
	path := filepath.Join(dir, "data.shard")
	m := corpus.Model{Tokenizer: b.tok, Vocab: b.model.Config().Vocab, Context: longest}
	if _, _, err := r.Build(ctx, path, spec, m, progress); err != nil {
		return nil, err
	}
	return shard.Open(path)
}
