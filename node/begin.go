package node

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"

	"carillon/checkpoint"
	"carillon/job"
	"carillon/model"
	"carillon/objstore"
	"carillon/safetensors"
	"carillon/shard"
	"carillon/train"
)

// initial is the state of a job that has done nothing yet: what its method begins as,
// and in its place what the recipe's adapter holds, which every node takes from the
// store by its hash.
func initial(ctx context.Context, spec job.Spec, store objstore.Store, identity [32]byte, l *learner, data shard.Hash) (train.State, error) {
	w := l.session.Initial()
	if spec.InitFrom != "" {
		if err := begin(ctx, store, spec.InitSHA256, l.session.Params(), w); err != nil {
			return train.State{}, fmt.Errorf("what the job begins as: %w", err)
		}
	}
	return train.State{
		W: w, M: make([]float32, len(w)), V: make([]float32, len(w)),
		Digest: checkpoint.Digest0(identity, l.model.Hash(), data, w),
	}, nil
}

// begin puts the tensors of the store's file with a hash into their places in w.
func begin(ctx context.Context, store objstore.Store, hash string, params []model.Param, w []float32) error {
	tensors, err := fetchInit(ctx, store, hash)
	if err != nil {
		return err
	}
	for _, t := range tensors {
		i := slices.IndexFunc(params, func(p model.Param) bool { return p.Name == t.Name && slices.Equal(p.Shape, t.Shape) })
		if i < 0 {
			return fmt.Errorf("%s: this node trains no tensor %s of shape %v", checkpoint.InitKey(hash), t.Name, t.Shape)
		}
		copy(w[params[i].Offset:], t.Data)
	}
	return nil
}

// fetchInit reads that file, and makes sure that it is what its name says.
func fetchInit(ctx context.Context, store objstore.Store, hash string) ([]safetensors.Tensor, error) {
	key := checkpoint.InitKey(hash)
	r, _, err := store.Get(ctx, key, 0, -1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) != hash {
		return nil, fmt.Errorf("%s is damaged in the store: its SHA-256 is %x", key, sum)
	}
	tensors, err := safetensors.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return tensors, nil
}
