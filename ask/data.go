package ask

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"carillon/corpus"
	"carillon/job"
	"carillon/shard"
)

// Data makes a recipe's data set, in this model's tokens, in a file that is gone
// when the set is closed.
func (a *Asker) Data(ctx context.Context, spec job.Spec, progress corpus.Progress) (*shard.Set, error) {
	examples, _, err := corpus.Prepare(ctx, spec, a.tok, a.Config().Context, progress)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "carillon-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir) // an open set is mapped, and needs no name
	path := filepath.Join(dir, "data.shard")
	if _, err := shard.Build(path, shard.Info{Vocab: a.Config().Vocab, Blank: -1}, examples); err != nil {
		return nil, fmt.Errorf("tokenized data: %w", err)
	}
	return shard.Open(path)
}
