package main

import (
	"cmp"
	"context"
	"fmt"

	"carillon/ask"
	"carillon/backend"
	"carillon/feature"
	"carillon/job"
	"carillon/shard"
)

// row is what an adapter's directory, or the model itself, is worth.
type row struct {
	ask.Adapter
	loss ask.Loss
}

// called is what a row begins with: nothing for a single one without a name.
func (r row) called(rows []row) string {
	if len(rows) == 1 {
		return r.Name
	}
	return cmp.Or(r.Name, r.Dir)
}

// evaluate asks adapters, or the model itself if there are none. One base model is in
// memory at a time: what method feature made, which reads with one of its own, comes
// after the others.
func evaluate(ctx context.Context, be *backend.Backend, adapters []ask.Adapter, spec job.Spec) ([]row, error) {
	if len(adapters) == 0 {
		adapters = []ask.Adapter{{}}
	}
	rows := make([]row, len(adapters))
	var over []*row
	for i, a := range adapters {
		rows[i].Adapter = a
		if !feature.Is(a.Dir) {
			over = append(over, &rows[i])
		}
	}
	if len(over) > 0 {
		if err := evaluateOver(ctx, be, over, spec); err != nil {
			return nil, err
		}
	}
	for i := range rows {
		if err := rows[i].evaluateFeature(ctx, be, spec); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// evaluateFeature asks what method feature made, if the row is of that.
func (r *row) evaluateFeature(ctx context.Context, be *backend.Backend, spec job.Spec) (err error) {
	if feature.Is(r.Dir) {
		r.loss, err = feature.HeldOut(ctx, be, r.Dir, spec, nil)
	}
	return err
}

// evaluateOver asks adapters over one base model.
func evaluateOver(ctx context.Context, be *backend.Backend, rows []*row, spec job.Spec) error {
	data, spec, err := ask.Read(ctx, spec, nil)
	if err != nil {
		return err
	}
	var adapters []ask.Adapter
	for _, r := range rows {
		if r.Dir != "" {
			adapters = append(adapters, r.Adapter)
		}
	}
	s, err := ask.OpenSeveral(ctx, be, "", adapters, spec)
	if err != nil {
		return err
	}
	defer s.Close()
	set, err := s.Data(ctx, data, spec, nil)
	if err != nil {
		return err
	}
	defer set.Close()
	for _, r := range rows {
		a, err := s.Get(r.Name)
		if err != nil {
			return err
		}
		if r.loss, err = a.HeldOut(ctx, set, shard.PlanOf(spec), nil); err != nil {
			return r.wrap(err)
		}
	}
	return nil
}

// wrap names the adapter in an error, if it has a name.
func (r *row) wrap(err error) error {
	if r.Name == "" {
		return err
	}
	return fmt.Errorf("adapter %s: %w", r.Name, err)
}
