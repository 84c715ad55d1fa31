package train

import (
	"context"
	"fmt"
	"time"

	"carillon/allreduce"
	"carillon/job"
	"carillon/roster"
)

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
	lastEval   Evaluation       // the last that ended here
	holding    uint64           // waiting after this step for a joiner; 0: not
	lastAsked  job.RosterNumber // higher roster that a peer was seen on
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
// that it will be. One that is due by save_steps alone is not needed: the next follows.
func (t *Trainer) saveDue() (due, needed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.state.Step
	every := uint64(t.cfg.Spec.SaveSteps)
	needed = s == t.final || s == t.saveAfter || t.mayBeBest()
	due = needed || (every > 0 && s%every == 0)
	if !due || s == 0 || s == t.kept || s <= t.saved {
		return false, false
	}
	t.kept = s
	return true, needed
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
