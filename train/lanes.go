package train

import (
	"context"
	"fmt"
	"math"

	"carillon/allreduce"
	"carillon/job"
	"carillon/shard"
)

// laneGradient is one lane's part of a step.
type laneGradient struct {
	lane             int
	grad             []float32 // flat order, summed over the lane's supervised tokens
	loss             float32
	tokens, examples int64
}

// laneCache holds the gradients of one step. When a sum has failed, the lanes
// that this node carries under the next roster too need not be computed again.
type laneCache struct {
	step  uint64
	held  map[int]*laneGradient
	free  [][]float32
	batch shard.Batch
}

// gradients computes the lanes (an empty lane is left out) and counts them. It
// returns early when ctx ends, since nobody waits for this step any longer.
func (t *Trainer) gradients(ctx context.Context, step uint64, lanes []int) ([]*laneGradient, allreduce.Tail, error) {
	t.work.lanes.begin(step, lanes)
	var tail allreduce.Tail
	out := make([]*laneGradient, 0, len(lanes))
	for _, lane := range lanes {
		if ctx.Err() != nil {
			return nil, tail, context.Cause(ctx)
		}
		l, err := t.gradient(step, lane)
		if err != nil {
			return nil, tail, fatal(fmt.Errorf("gradient of lane %d: %w", lane, err))
		}
		if l.examples > 0 {
			out = append(out, l)
			l.count(&tail)
		}
	}
	return out, tail, nil
}

// gradient returns a lane's gradient, from the cache if a failed sum left it there.
func (t *Trainer) gradient(step uint64, lane int) (*laneGradient, error) {
	c := &t.work.lanes
	if l := c.held[lane]; l != nil {
		return l, nil
	}
	l, b := &laneGradient{lane: lane}, &c.batch
	t.cfg.Data.Batch(b, t.cfg.Plan, step, lane)
	if l.examples = int64(b.Real); l.examples > 0 {
		l.tokens, l.grad = b.Predicted(), c.buffer(len(t.state.W))
		var err error
		if l.loss, err = t.cfg.Learner.Gradient(b, t.dropout(step, lane), l.grad); err != nil {
			return nil, err
		}
	}
	c.held[lane] = l
	return l, nil
}

// withNoise gives each lane the key of its rounding at a step.
func withNoise(lanes []*laneGradient, seed, step uint64) (all []allreduce.Lane) {
	for _, l := range lanes {
		all = append(all, allreduce.Lane{Gradient: l.grad, Noise: job.NewKey(seed, job.ForRounding, step, uint64(l.lane))})
	}
	return all
}

func (l *laneGradient) count(tail *allreduce.Tail) {
	tail[allreduce.Tokens] += l.tokens
	tail[allreduce.Examples] += l.examples
	tail.AddLoss(l.loss)
}

// begin forgets every gradient that is not of this step and these lanes.
func (c *laneCache) begin(step uint64, lanes []int) {
	if c.held == nil {
		c.held = map[int]*laneGradient{}
	}
	wanted := make(map[int]bool, len(lanes))
	for _, l := range lanes {
		wanted[l] = true
	}
	for lane, l := range c.held {
		if c.step != step || !wanted[lane] {
			if l.grad != nil {
				c.free = append(c.free, l.grad)
			}
			delete(c.held, lane)
		}
	}
	c.step = step
}

func (c *laneCache) buffer(size int) []float32 {
	if n := len(c.free); n > 0 {
		b := c.free[n-1]
		c.free = c.free[:n-1]
		return b
	}
	return make([]float32, size)
}

// dropout is the key of a lane's dropout masks at a step.
func (t *Trainer) dropout(step uint64, lane int) job.Key {
	return job.NewKey(t.cfg.Spec.Seed, job.ForDropout, step, uint64(lane))
}

// sameBits compares what a device holds with what it was given.
func sameBits(name string, got, want []float32) error {
	for i := range want {
		if i >= len(got) || math.Float32bits(got[i]) != math.Float32bits(want[i]) {
			return fmt.Errorf("%s: the device's copy differs from the host's at element %d of %d: bad memory on this machine", name, i, len(want))
		}
	}
	return nil
}
