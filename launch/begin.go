package launch

import (
	"context"
	"errors"
	"strings"

	"carillon/checkpoint"
	"carillon/export"
	"carillon/objstore"
)

// begin reads the adapter that the job begins as, if its recipe names one, and makes
// its hash a part of the job. One that goes on from a checkpoint has begun.
func (r *run) begin() (err error) {
	if r.goesOn {
		return nil
	}
	if r.begins, err = export.Begin(r.Spec, r.base.Hash, r.trainables()); err != nil {
		return err
	}
	r.Spec.InitSHA256 = r.begins.SHA256
	if r.begins.Note != "" {
		r.View.Note("init_from: " + r.begins.Note)
	}
	return nil
}

// trainables lists what the job trains, in flat order.
func (r *run) trainables() (params []checkpoint.Param) {
	for _, p := range r.base.Trainables {
		params = append(params, checkpoint.Param{Name: p.Name, Shape: p.Shape})
	}
	return params
}

// putBeginning makes what the job begins as an object of the store, under its hash:
// nodes take it from there, wherever the adapter is.
func (r *run) putBeginning(ctx context.Context) error {
	if r.begins.File == "" {
		return nil
	}
	err := r.store.PutIfAbsent(ctx, checkpoint.InitKey(r.begins.SHA256), strings.NewReader(r.begins.File), int64(len(r.begins.File)))
	if errors.Is(err, objstore.ErrExist) {
		return nil // its name is its content
	}
	return err
}
