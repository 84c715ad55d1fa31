package coordinator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"carillon/checkpoint"
	"carillon/job"
	"carillon/ledger"
	"carillon/objstore"
)

// keepAgain is how soon what failed at the store is tried again.
const keepAgain = time.Second

// keep does the leader's work at the object store until ctx ends. It is slow
// work, so it has a goroutine of its own.
func (c *Coordinator) keep(ctx context.Context, l *leading) {
	t := time.NewTicker(keepAgain)
	defer t.Stop()
	for {
		if j := c.job(); j != nil && l.leads(c, j.ID) {
			err := c.tend(ctx, l, j)
			if ctx.Err() != nil {
				return
			}
			if l.leads(c, j.ID) { // else another job has begun
				c.note(l, err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-l.due:
		case <-t.C:
		}
	}
}

// note keeps what went wrong at the store. It is tried again; but a full disk
// takes a person, and ends the job.
func (c *Coordinator) note(l *leading, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trouble(l, "store", err)
	if errors.Is(err, objstore.ErrFull) && l.alarm == "" {
		l.alarm = err.Error()
		c.poke()
	}
}

// tend does whatever is due at the store, in this order: make it this ledger's,
// finish what an earlier leader left, save what has become whole.
func (c *Coordinator) tend(ctx context.Context, l *leading, j *ledger.Job) error {
	if !l.isOpen(c) {
		if err := c.open(ctx, l, j); err != nil {
			return err
		}
		j = c.jobOf(j.ID)
	}
	if err := c.finish(ctx, l, j); err != nil {
		return err
	}
	for p := c.wholePlan(l, j.ID); p != nil && ctx.Err() == nil; p = c.wholePlan(l, j.ID) {
		if !c.propose(ctx, j.ID, ledger.Entry{Complete: p}) {
			return nil // void, or another leads
		}
		if err := c.finish(ctx, l, c.jobOf(j.ID)); err != nil {
			return err
		}
	}
	return nil
}

// leads says whether a job is still the one that is led.
func (l *leading) leads(c *Coordinator, id job.ID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return l.job == id
}

func (l *leading) isOpen(c *Coordinator) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return l.opened
}

// open reads HEAD, and claims a store that this ledger does not know.
func (c *Coordinator) open(ctx context.Context, l *leading, j *ledger.Job) error {
	var head checkpoint.Head
	var err error
	if j.Incarnation == 0 {
		if head, err = checkpoint.Claim(ctx, c.cfg.Store, j.ID, l.term); err != nil {
			return fmt.Errorf("claim the store: %w", err)
		}
		claim := ledger.Claim{Incarnation: uint32(head.Incarnation), Generation: head.Generation}
		if claim.Verdict, err = c.verdictAt(ctx, j.ID); err != nil {
			return fmt.Errorf("claim the store: %w", err)
		}
		if !c.propose(ctx, j.ID, ledger.Entry{Claim: &claim}) {
			return errors.New("the claim of the store was not agreed on")
		}
	} else if head, _, err = checkpoint.ReadHead(ctx, c.cfg.Store, j.ID); err != nil && !errors.Is(err, objstore.ErrNotExist) {
		return fmt.Errorf("open the store: %w", err)
	}
	c.mu.Lock()
	l.opened = l.job == j.ID
	c.mu.Unlock()
	c.settle(l, j.ID, head)
	return nil
}

// settle notes what HEAD names.
func (c *Coordinator) settle(l *leading, id job.ID, head checkpoint.Head) {
	c.mu.Lock()
	if l.job != id {
		c.mu.Unlock()
		return
	}
	if head.Manifest != "" {
		l.saved = head.Step
	}
	l.plans.forget(l.saved)
	l.asked = time.Now()
	c.mu.Unlock()
	c.poke()
}

func (c *Coordinator) wholePlan(l *leading, id job.ID) *ledger.Checkpoint {
	j := c.jobOf(id)
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.job != id {
		return nil
	}
	if p := l.plans.newest((*plan).whole); p != nil && c.judged(j, p.step) {
		return p.entry(l.records.eval(p.step))
	}
	return nil
}

// finish makes HEAD name the newest whole checkpoint of the ledger, and prunes.
func (c *Coordinator) finish(ctx context.Context, l *leading, j *ledger.Job) error {
	c.mu.Lock()
	saved, mine := l.saved, l.job == j.ID
	c.mu.Unlock()
	if !mine || j.Complete == nil || j.Complete.Step <= saved {
		return nil
	}
	began := time.Now()
	by := checkpoint.Head{Incarnation: uint64(j.Incarnation), Term: l.term}
	head, err := checkpoint.Commit(ctx, c.cfg.Store, by, manifestOf(j))
	switch {
	case errors.Is(err, checkpoint.ErrVoid):
		c.settle(l, j.ID, head)
		return nil
	case errors.Is(err, checkpoint.ErrDeposed) && head.Incarnation > uint64(j.Incarnation):
		c.mu.Lock()
		defer c.mu.Unlock()
		if l.job != j.ID {
			return nil
		}
		l.alarm = fmt.Sprintf("another ledger has claimed the store (HEAD has incarnation %d, this one %d)", head.Incarnation, j.Incarnation)
		return err
	case err != nil:
		return fmt.Errorf("save step %d: %w", j.Complete.Step, err)
	}
	c.settle(l, j.ID, head)
	c.log.Info("saved", job.KeyStep, head.Step, "generation", head.Generation, "seconds", time.Since(began).Seconds())
	return c.prune(ctx, j)
}

// prune removes what the recipe's save_total_limit leaves over.
func (c *Coordinator) prune(ctx context.Context, j *ledger.Job) error {
	s, err := c.spec.of(j)
	if err != nil || s.SaveTotalLimit <= 0 {
		return err
	}
	keep := checkpoint.Keep{Last: s.SaveTotalLimit}
	if name := j.Verdict.Name; name != "" {
		keep.Pinned = []string{name}
	}
	return checkpoint.Prune(ctx, c.cfg.Store, j.ID, keep, func(names []string) error {
		if !c.propose(ctx, j.ID, ledger.Entry{Remove: &ledger.Remove{Names: names}}) {
			return errors.New("the removal was not agreed on")
		}
		return nil
	})
}

// manifestOf is the manifest of the job's newest whole checkpoint. Whoever makes
// it makes the same.
func manifestOf(j *ledger.Job) checkpoint.Manifest {
	c := j.Complete
	m := checkpoint.Manifest{
		Job: j.ID, Identity: j.Info.Identity, BaseHash: j.Info.BaseHash, DataHash: j.Info.DataHash,
		Incarnation: uint64(j.Incarnation), Generation: c.Generation, Step: c.Step, Digest: c.Digest,
		Spec: json.RawMessage(j.Info.Spec), Size: c.Size, Verdict: c.Verdict,
	}
	if c.Eval != nil {
		m.Eval = &checkpoint.Eval{Step: c.Eval.Step, Tail: c.Eval.Tail}
	}
	_ = json.Unmarshal(j.Info.Params, &m.Params) // submit has refused what this cannot read
	for i, chunk := range c.Chunks {
		m.Chunks = append(m.Chunks, checkpoint.Chunk{Index: i, SHA256: chunk.SHA256, Size: chunk.Size})
	}
	return m
}
