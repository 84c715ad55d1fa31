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
	store, err := open.Store(ctx, r.at)
	if err != nil {
		return job.Spec{}, err
	}
	m, err := checkpoint.Latest(ctx, store, r.Job)
	if errors.Is(err, checkpoint.ErrDamaged) { // of an older one the spec is the same
		if all, _ := checkpoint.List(ctx, store, r.Job); len(all) > 0 {
			m, err = all[len(all)-1], nil
		}
	}
	if err != nil {
		return job.Spec{}, err
	}
	return job.DecodeSpec(m.Spec)
}
