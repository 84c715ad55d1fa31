package train

import (
	"context"
	"errors"
	"fmt"
	"time"

	"carillon/allreduce"
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

// orders are what a trainer was told by the coordinators or by rank 0, and what
// became of it, under Trainer.mu.
type orders struct {
	stop, save bool             // rank 0 should announce these
	final      uint64           // last step of the job
	saved      uint64           // step that HEAD names
	released   bool             // this node may go
	warm       map[uint64]bool  // joiners of drills: after which step, and whether warm
	saveAfter  uint64           // announced in band: keep the state of this step
	kept       uint64           // step whose state went to the Saver last
	evaluated  uint64           // step after which an evaluation ended last
	record     *Record          // of the last step, not reported yet
	evalTail   *allreduce.Tail  // of the evaluation after that step
	holding    uint64           // waiting after this step for a joiner; 0: not
	lastAsked  job.RosterNumber // higher roster that a peer was seen on
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
}

// Status returns how this node stands.
func (t *Trainer) Status() Status {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Status{
		Roster: t.current.Number, Step: t.state.Step, Digest: t.state.Digest,
		Failed: t.failed, Suspects: append([]job.NodeID(nil), t.suspects...),
		Finished: t.state.Step >= t.final, Holding: t.holding,
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

// Orders are the coordinators' wishes. Each is heeded once it is true; none is
// taken back.
type Orders struct {
	Stop     bool   // end the job after a step, with a checkpoint
	Save     bool   // save after a step
	Saved    uint64 // the step that HEAD names
	Released bool   // this node, which has left, may go
	WarmFor  uint64 // a drill's joiner for this step (the step after which it joins) is warm
}

// Heed takes orders. Only rank 0 acts on Stop and Save.
func (t *Trainer) Heed(o Orders) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.stop = t.stop || o.Stop
	t.save = t.save || o.Save
	t.released = t.released || o.Released
	t.saved = max(t.saved, o.Saved)
	if o.WarmFor > 0 {
		if t.warm == nil {
			t.warm = map[uint64]bool{}
		}
		t.warm[o.WarmFor] = true
	}
	t.wake()
}

var (
	errSuperseded = errors.New("superseded")
	errDone       = errors.New("done")
)

// fatalError marks what no other roster would mend.
type fatalError struct{ error }

func (e fatalError) Unwrap() error { return e.error }

func fatal(err error) error {
	if err == nil {
		return nil
	}
	return fatalError{err}
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

// fail ends a ride. What another roster can mend is noted for the next beat;
// anything else is returned.
func (t *Trainer) fail(ctx context.Context, err error) error {
	var f fatalError
	var split *SplitError
	if errors.As(err, &f) || errors.As(err, &split) {
		return err
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, errSuperseded) && !errors.Is(cause, errLost) {
		return cause // the whole run ends
	}
	t.mu.Lock()
	t.failed = true
	t.suspect(err)
	number := t.current.Number
	t.mu.Unlock()
	if !errors.Is(context.Cause(ctx), errSuperseded) {
		t.cfg.Log.Warn("sum failed; waiting for the next roster", "roster", number, "error", err)
	}
	t.cfg.Reporter.Changed()
	return nil
}

var errLost = errors.New("lost")

// lost notes that the connection to a member broke, and ends the sum with it.
func (t *Trainer) lost(id job.NodeID, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.addSuspect(id)
	t.endRide(fmt.Errorf("%v: %w: %w", id, errLost, err))
}

// suspect notes whom an error blames. t.mu is held.
func (t *Trainer) suspect(err error) {
	var blames interface{ Suspect() job.NodeID }
	if errors.As(err, &blames) {
		t.addSuspect(blames.Suspect())
	}
}

func (t *Trainer) addSuspect(id job.NodeID) {
	for _, s := range t.suspects {
		if s == id {
			return
		}
	}
	if t.current.Has(id) {
		t.suspects = append(t.suspects, id)
	}
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

// word is what this node would announce as rank 0 with the step that it starts.
func (t *Trainer) word() Word {
	t.mu.Lock()
	defer t.mu.Unlock()
	w := Word{Algorithm: t.algorithm, Save: t.save, Stop: t.stop}
	if p := t.planned; !t.stop && p.Base == t.current.Number && t.current.Number.Less(p.Number) && t.joinersNear(p) {
		w.Switch = p.Number
	}
	return w
}

// joinersNear says whether every member of p from outside the current roster
// has said hello with a step at most two below the sum being started.
func (t *Trainer) joinersNear(p roster.Roster) bool {
	for _, m := range p.Members {
		if t.current.Has(m.ID) {
			continue
		}
		if h, ok := t.hellos[m.ID]; !ok || h.Roster != p.Number || h.Step+2 < t.state.Step+1 {
			return false
		}
	}
	return true
}

// heed takes hold of a word that came with a finished step.
func (t *Trainer) heed(w Word, rec Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if w.Save || w.Stop {
		t.saveAfter, t.save = rec.Step, false
	}
	if w.Stop {
		t.final = min(t.final, rec.Step)
	}
	t.record, t.evalTail = &rec, nil
	t.wake()
}

// saveDue says whether the state is to be kept for a checkpoint now, and notes
// that it will be.
func (t *Trainer) saveDue() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.state.Step
	every := uint64(t.cfg.Spec.SaveSteps)
	due := s == t.final || s == t.saveAfter || (every > 0 && s%every == 0)
	if !due || s == 0 || s == t.kept || s <= t.saved {
		return false
	}
	t.kept = s
	return true
}

// report hands on the last step's record, with its evaluation.
func (t *Trainer) report() {
	t.mu.Lock()
	rec := t.record
	if rec != nil {
		rec.EvalTail = t.evalTail
	}
	t.record = nil
	t.mu.Unlock()
	if rec != nil {
		t.cfg.Reporter.Stepped(*rec)
	}
}

// holdPatience bounds the wait for a drill's joiner: a process start and a
// compilation, on a loaded machine.
const holdPatience = 5 * time.Minute

// hold makes rank 0 wait, in a drill only, for the joiner that the drill is about.
func (t *Trainer) hold(ctx context.Context, rank int) error {
	for _, after := range t.cfg.HoldAfter {
		if rank != 0 || after != t.state.Step {
			continue
		}
		ctx, cancel := context.WithTimeoutCause(ctx, holdPatience, fatal(fmt.Errorf("drill: nobody has joined after step %d within %v", after, holdPatience)))
		defer cancel()
		t.mu.Lock()
		t.holding = after
		t.mu.Unlock()
		t.cfg.Reporter.Changed()
		err := t.await(ctx, func() bool { return t.warm[after] || t.stop })
		t.mu.Lock()
		t.holding = 0
		t.mu.Unlock()
		return err
	}
	return nil
}

// drill kills this process in the step that a drill names.
func (t *Trainer) drill(step uint64) {
	if t.cfg.KillAt == step {
		t.cfg.Kill()
	}
}
