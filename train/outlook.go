package train

import (
	"context"
	"fmt"

	"carillon/job"
	"carillon/roster"
)

// outlook is what a trainer knows of rosters, under Trainer.mu.
type outlook struct {
	current  roster.Roster    // taken up last; this node may not be in it
	forced   roster.Roster    // the highest forced one heard of
	planned  roster.Roster    // the newest planned one heard of
	switched job.RosterNumber // announced in band by rank 0, and not taken up yet
	riding   context.CancelCauseFunc
	settled  bool // all members of current have said hello and stood together
	failed   bool // a sum of current failed here
	suspects []job.NodeID
}

// Status is what a node tells about itself.
type Status struct {
	Roster   job.RosterNumber
	Step     uint64
	Digest   [32]byte
	Failed   bool
	Suspects []job.NodeID
	Finished bool   // the last step is done here
	Holding  uint64 // rank 0 waits after this step for a joiner of a drill
	Eval     Evaluation
}

// Status returns how this node stands.
func (t *Trainer) Status() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Status{
		Roster: t.current.Number, Step: t.state.Step, Digest: t.state.Digest,
		Failed: t.failed, Suspects: append([]job.NodeID(nil), t.suspects...),
		Finished: t.state.Step >= t.final, Holding: t.holding, Eval: t.lastEval,
	}
}

// Offer hands in a roster that the ledger has. Old ones are ignored; the same
// one may come any number of times. A forced roster ends the sum under way.
func (t *Trainer) Offer(r roster.Roster) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.current.Number.Less(r.Number) {
		return
	}
	if r.Kind == roster.Planned {
		if t.planned.Number.Less(r.Number) {
			t.planned = r
			t.wake()
		}
		return
	}
	if t.forced.Number.Less(r.Number) {
		t.forced = r
		t.endRide(fmt.Errorf("roster %v follows: %w", r.Number, errSuperseded))
		t.wake()
	}
}

// wake lets everyone who waits look again. t.mu is held.
func (t *Trainer) wake() {
	close(t.changed)
	t.changed = make(chan struct{})
}

func (t *Trainer) endRide(cause error) {
	if t.riding != nil {
		t.riding(cause)
	}
}

// await waits until ready (called under t.mu) says so, or ctx ends.
func (t *Trainer) await(ctx context.Context, ready func() bool) error {
	for {
		t.mu.Lock()
		ok, changed := ready(), t.changed
		t.mu.Unlock()
		if ok {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// next waits for the roster to take up next. It returns the zero Roster when
// this node has nothing more to do.
func (t *Trainer) next(ctx context.Context) (roster.Roster, error) {
	for {
		var r roster.Roster
		err := t.await(ctx, func() bool {
			var over bool
			r, over = t.follow()
			return over || !r.Number.IsZero()
		})
		if err != nil || !t.joins(r) {
			return r, err
		}
		if open, err := t.shadow(ctx, r); err != nil || open {
			return r, err
		}
	}
}

// follow picks the roster to take up now, or says that all is over here. t.mu is held.
func (t *Trainer) follow() (r roster.Roster, over bool) {
	member := t.current.Has(t.cfg.Self)
	switch p := t.planned; {
	case t.current.Number.Less(t.forced.Number):
		return t.forced, false
	case !t.current.Number.Less(p.Number):
	case member && p.Base == t.current.Number:
		// V7: a planned roster takes hold in who stands in its base, when rank 0
		// has said so, or at once when a sum failed.
		if t.switched == p.Number || t.failed {
			return p, false
		}
	case p.Has(t.cfg.Self):
		return p, false // a joiner
	}
	return roster.Roster{}, t.saved >= t.final || (t.released && !member)
}

// joins says whether this node comes to r from outside its base.
func (t *Trainer) joins(r roster.Roster) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return r.Kind == roster.Planned && r.Has(t.cfg.Self) && !(t.current.Number == r.Base && t.current.Has(t.cfg.Self))
}

// takeUp makes r the current roster. Every older sum has ended here. The
// returned context ends when a forced roster follows r.
func (t *Trainer) takeUp(ctx context.Context, r roster.Roster) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	t.mu.Lock()
	t.current, t.failed, t.suspects, t.switched = r, false, nil, job.RosterNumber{}
	t.riding, t.settled = cancel, false
	if r.Number.Less(t.forced.Number) {
		cancel(errSuperseded)
	}
	t.mu.Unlock()
	t.cfg.Reporter.Changed()
	t.cfg.Log.Info("roster", job.KeyAt, t.at(r), "kind", r.Kind, "reason", r.Reason)
	return ctx, func() {
		t.mu.Lock()
		t.riding = nil
		t.mu.Unlock()
		cancel(errDone)
	}
}

// standBy notes a roster that this node is not in.
func (t *Trainer) standBy(r roster.Roster) {
	t.mu.Lock()
	t.current, t.failed, t.suspects, t.switched = r, false, nil, job.RosterNumber{}
	t.mu.Unlock()
	t.cfg.Reporter.Changed()
}

// switchTo notes what rank 0 announced; zero for nothing.
func (t *Trainer) switchTo(n job.RosterNumber) {
	t.mu.Lock()
	t.switched = n
	t.mu.Unlock()
	t.cfg.Reporter.Changed()
}

func (t *Trainer) finished() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.state.Step >= t.final
}
