package ask

import (
	"context"
	"fmt"
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
	examples, _, err := r.Tokenize(ctx, spec, a.tok, a.Config().Context, progress)
	if err != nil {
		return nil, err
	}
	info := shard.Info{Vocab: a.Config().Vocab, Blank: -1} // nothing is blanked in what is evaluated
	if info.Task, err = shard.ParseTask(spec.TaskType); err != nil {
		return nil, err
	}
	if info.Task == shard.SeqCls {
		info.Classes = len(spec.Labels)
	}
	dir, err := os.MkdirTemp("", "carillon-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) // an open set is mapped, and needs no name
	path := filepath.Join(dir, "data.shard")
	if _, err := shard.Build(path, info, examples); err != nil {
		return nil, fmt.Errorf("tokenized data: %w", err)
	}
	return shard.Open(path)
}
