package launch

import (
	"context"
	"errors"

	"carillon/checkpoint"
	"carillon/corpus"
	"carillon/export"
	"carillon/job"
	"carillon/model"
	"carillon/objstore"
	"carillon/objstore/open"
)

// resolve fills in what the recipe leaves to the data: what the model is to
// learn, and the classes. A job that is gone on with has them in its checkpoint,
// and its source is not read again.
func (r *run) resolve(ctx context.Context) error {
	if r.Resume {
		saved, err := r.savedSpec(ctx)
		if err == nil {
			r.Spec, r.goesOn = r.Spec.ResolvedAs(saved), true
			return nil
		} else if !errors.Is(err, objstore.ErrNotExist) {
			return err
		}
	}
	var err error
	r.Spec, r.reading, err = resolve(ctx, r.Spec, corpus.Progress(r.View.Progress))
	return err
}

// resolve reads as little of the data as will do: the first rows, unless there
// are classes to be counted. reading is nil where not all was read.
func resolve(ctx context.Context, spec job.Spec, progress corpus.Progress) (job.Spec, *corpus.Reading, error) {
	apart, err := model.EncoderDecoder(spec.BaseModel)
	if err != nil {
		return spec, nil, err
	}
	if spec, err = export.Adopt(spec); err != nil {
		return spec, nil, err
	}
	task, err := corpus.Peek(ctx, spec, apart)
	if err != nil {
		return spec, nil, err
	}
	if task != job.SeqCls {
		spec.SetTask(task)
		return spec, nil, nil
	}
	reading, err := corpus.Load(ctx, spec, progress)
	if err != nil {
		return spec, nil, err
	}
	spec, err = reading.Resolve(spec, apart)
	return spec, reading, err
}

// savedSpec is the spec of the newest checkpoint in the store.
func (r *run) savedSpec(ctx context.Context) (job.Spec, error) {
	store, err := open.Now(ctx, r.at)
	if err != nil {
		return job.Spec{}, err
	}
	m, err := newest(ctx, store, r.Job)
	if err != nil {
		return job.Spec{}, err
	}
	return job.DecodeSpec(m.Spec)
}

// newest is the newest manifest of a job that can be read: of an older one the spec and
// the hashes are the same.
func newest(ctx context.Context, store objstore.Store, id job.ID) (checkpoint.Manifest, error) {
	m, err := checkpoint.Latest(ctx, store, id)
	if errors.Is(err, checkpoint.ErrDamaged) {
		if all, _ := checkpoint.List(ctx, store, id); len(all) > 0 {
			return all[len(all)-1], nil
		}
	}
	return m, err
}
