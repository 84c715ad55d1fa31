package train

import (
	"context"
	"fmt"

	"carillon/allreduce"
)

// evaluate computes the loss on the held-out examples when it is due at this
// step: a sum of counters only, batch j by the lane j mod V. Like any sum it is
// done again on the next roster when it fails on this one.
func (t *Trainer) evaluate(ctx context.Context, m Mesh, lanes []int) error {
	if !t.evaluationDue() {
		return nil
	}
	var tail allreduce.Tail
	batches := t.cfg.Data.EvalBatches(t.cfg.Plan)
	for _, lane := range lanes {
		for j := lane; j < batches; j += t.cfg.Spec.Lanes {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err := t.evaluateBatch(j, &tail); err != nil {
				return fatal(fmt.Errorf("evaluation batch %d: %w", j, err))
			}
		}
	}
	m.Begin(t.state.Step, 1)
	adding, cancel := context.WithTimeout(ctx, agreePatience)
	defer cancel()
	tail, err := allreduce.AddTails(adding, m, tail)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.evaluated, t.evalTail = t.state.Step, &tail
	t.lastEval = Evaluation{t.state.Step, tail}
	return nil
}

// Evaluation is the summed tail of the held-out loss after a step.
type Evaluation struct {
	Step uint64
	Tail allreduce.Tail
}

// mayBeBest says whether the state after this step is one of those from which the
// best is chosen. t.mu is held.
func (t *Trainer) mayBeBest() bool {
	return t.state.Step > 0 && t.cfg.Spec.Judges(t.state.Step, t.cfg.Steps)
}

// awaitSaved waits, where the best state counts, until the one that was evaluated
// is saved: by then its evaluation counts as well. It may turn out to be the best,
// and no later checkpoint may come before it.
func (t *Trainer) awaitSaved(ctx context.Context) error {
	return t.await(ctx, func() bool { return t.saved >= t.state.Step || !t.mayBeBest() })
}

func (t *Trainer) evaluateBatch(j int, tail *allreduce.Tail) error {
	b := &t.work.lanes.batch
	t.cfg.Data.EvalBatch(b, t.cfg.Plan, j)
	if b.Real == 0 {
		return nil
	}
	loss, err := t.cfg.Learner.Loss(b)
	if err != nil {
		return err
	}
	l := laneGradient{loss: loss, tokens: b.Predicted(), examples: int64(b.Real)}
	l.count(tail)
	return nil
}

// evaluationDue says whether the held-out loss is wanted at this step, and no
// evaluation of it has ended for all members.
func (t *Trainer) evaluationDue() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s, every := t.state.Step, uint64(t.cfg.Spec.EvalSteps)
	if s == 0 || s == t.evaluated || t.cfg.Data.HeldOutLen() == 0 {
		return false
	}
	return s == t.final || every > 0 && s%every == 0
}
