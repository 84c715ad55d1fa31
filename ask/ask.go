package ask

import (
	"context"
	"errors"
	"fmt"

	"carillon/backend"
	"carillon/job"
	"carillon/model"
)

// Asker is a model with or without an adapter, ready to be asked. It is for one
// goroutine at a time, with all that share its base model.
type Asker struct {
	*base
	name string // of the adapter, for people
	seat *seat
	flat []float32 // what was trained, in the session's order; nil: what its method starts from
}

// Open loads the model directory dir ("": where the spec has it) with what spec
// trains put into it, and the adapter of adapterDir, if that is not empty: then the
// method is the adapter's, and the task too where the spec names none. A spec
// without a method, or without an adapter where the method's own start is another,
// asks the base alone; one that goes on from an adapter (init_from) asks that.
func Open(ctx context.Context, be *backend.Backend, dir, adapterDir string, spec job.Spec) (*Asker, error) {
	var adapters []Adapter
	if adapterDir != "" {
		adapters = []Adapter{{Dir: adapterDir}}
	}
	s, err := OpenSeveral(ctx, be, dir, adapters, spec)
	if err != nil {
		return nil, err
	}
	a, err := s.Get("")
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return a, nil
}

// Name is what an adapter's answers are called: its name, its directory if it has
// none, or base for the base model alone.
func (a *Asker) Name() string { return a.name }

// Config returns the facts about the model.
func (a *Asker) Config() model.Config { return a.model.Config() }

// session is the session that stands for all with the Asker's method: its facts,
// not what is in it.
func (a *Asker) session() *model.Session { return a.seat.session }

// seated returns the session with what this Asker's adapter trained in it.
func (a *Asker) seated() (*model.Session, error) {
	seat := a.seat
	if seat.holds == a || seat.fresh && a.flat == nil {
		return seat.session, nil
	}
	seat.holds, seat.fresh = nil, false
	flat := a.flat
	if flat == nil {
		flat = seat.session.Initial()
	}
	if err := seat.session.Upload(flat); err != nil {
		return nil, fmt.Errorf("adapter %s: %w", a.name, err)
	}
	seat.holds = a
	return seat.session, nil
}
