package coordinator

import (
	"context"
	"errors"
	"fmt"

	"carillon/checkpoint"
	"carillon/job"
	"carillon/ledger"
	"carillon/objstore"
)

// best is what follows from the evaluations where the best state counts: one that
// counts from now on, or the end of a job that has not got better for too long. Nil
// is nothing. c.mu is held.
func (c *Coordinator) best(j *ledger.Job) *ledger.Entry {
	s, err := c.spec.of(j)
	if err != nil || !s.LoadBestModelAtEnd || j.Incarnation == 0 {
		return nil
	}
	if s.Exhausted(j.Verdict.Since) {
		if j.Stop != nil {
			return nil
		}
		return &ledger.Entry{Stop: &ledger.Stop{Reason: fmt.Sprintf("no lower held-out loss since step %d", j.Verdict.Best.Step)}}
	}
	for _, id := range c.sorted(j) {
		e := c.nodes[id].beat.Eval
		if e != nil && e.Step > j.Verdict.Step && s.Judges(e.Step, j.Info.Steps) {
			return &ledger.Entry{Judge: &ledger.Eval{Step: e.Step, Tail: e.Tail}}
		}
	}
	return nil
}

// judged says whether a checkpoint of a step may become the newest one: what its
// evaluation means for the job is in the ledger. A leader that has no report of
// that evaluation yet waits for it: every node repeats its last one with each beat.
// c.mu is held.
func (c *Coordinator) judged(j *ledger.Job, step uint64) bool {
	s, err := c.spec.of(j)
	switch {
	case err != nil || !s.Judges(step, j.Info.Steps):
		return true
	case s.Exhausted(j.Verdict.Since):
		return j.Stop != nil // so that the step to come is the last one
	}
	return j.Verdict.Step >= step
}

// verdictAt is the verdict of the checkpoint that HEAD names; nil if there is none.
func (c *Coordinator) verdictAt(ctx context.Context, id job.ID) (*checkpoint.Verdict, error) {
	m, err := checkpoint.Latest(ctx, c.cfg.Store, id)
	if errors.Is(err, objstore.ErrNotExist) {
		return nil, nil
	}
	return m.Verdict, err
}
