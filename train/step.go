package train

import (
	"context"
	"fmt"
	"time"

	"carillon/allreduce"
	"carillon/checkpoint"
	"carillon/job"
	"carillon/optim"
	"carillon/roster"
)

// Who is dead is known from broken connections and missed beats. These bound the
// wait for a node that beats and yet does not exchange: with Agree a peer may
// be computing its gradients still, with the sum it only has to answer.
const (
	agreePatience = 10 * time.Minute
	sumPatience   = time.Minute
)

// step makes one optimizer update on roster r. It errs before the state is
// touched (the sum failed, and another roster will do it again) or with a
// fatalError (no roster would help).
func (t *Trainer) step(ctx context.Context, m Mesh, r roster.Roster) (Word, error) {
	began, sent := time.Now(), m.BytesSent()
	seed, step := t.cfg.Spec.Seed, t.state.Step // steps done: this one's place in the job
	exps, sum := t.work.exps, t.work.sum        // [blocks], [size]

	// The gradient of each lane that the roster gives this node; nothing is sent.
	lanes, tail, err := t.gradients(ctx, step, r.Members[m.Rank()].Lanes)
	if err != nil {
		return Word{}, err
	}
	t.drill(step + 1)

	// Shared scales: the largest exponent of each block over all lanes. The
	// counters and rank 0's word travel with them.
	clear(exps)
	for _, l := range lanes {
		allreduce.MaxExponents(exps, l.grad)
	}
	summing := time.Now()
	m.Begin(step+1, 0)
	agreeing, cancel := context.WithTimeout(ctx, agreePatience)
	defer cancel()
	tail, announced, err := allreduce.Agree(agreeing, m, exps, tail, t.word().encode())
	if err != nil {
		return Word{}, err
	}
	word, err := parseWord(announced)
	if err != nil {
		return Word{}, err
	}

	// Each lane as integers on those scales; their sum over this node, then over all.
	t.quantizer.SumLanes(sum, exps, withNoise(lanes, seed, step)...)
	adding, cancel := context.WithTimeout(ctx, sumPatience)
	defer cancel()
	if err := allreduce.Sum(adding, m, word.Algorithm, t.quantizer, sum, exps, job.NewKey(seed, job.ForRequantize, step)); err != nil {
		return Word{}, err
	}
	summed := time.Now()

	// The same integers everywhere: the same update everywhere.
	rec, err := t.apply(sum, exps, tail)
	if err != nil {
		return Word{}, err
	}
	rec.Seconds, rec.SumSeconds = time.Since(began).Seconds(), summed.Sub(summing).Seconds()
	rec.BytesSent, rec.Roster, rec.Nodes = m.BytesSent()-sent, r.Number, m.Size()
	t.heed(word, rec)
	return word, t.upload()
}

// apply makes the update of a finished sum, names the new state and remembers
// the sum for members that missed it. The memory of sum is used up.
func (t *Trainer) apply(sum []int32, exps []byte, tail allreduce.Tail) (Record, error) {
	canonical, tokens := allreduce.Canonical(t.history.memory(), exps, sum, tail), tail[allreduce.Tokens]
	mean := optim.NewMean(len(sum), max(1, tokens))
	g, err := t.quantizer.Dequantize(sum, exps, mean.Divide)
	if err != nil {
		return Record{}, fatal(fmt.Errorf("gradient of step %d (%d lanes with a loss that is not finite): %w; a lower learning_rate is the usual cure", t.state.Step+1, tail[allreduce.BadLoss], err))
	}
	rec := Record{Step: t.state.Step + 1, Tail: tail, LearningRate: t.schedule.At(t.state.Step, t.cfg.Steps), Epoch: t.epoch(t.state.Step + 1)}

	t.mu.Lock()
	defer t.mu.Unlock()
	s := &t.state
	name, update := checkpoint.NextDigest(s.Digest, canonical), func(from, to int) {}
	if tokens > 0 {
		rec.Norm = mean.Norm()
		update = t.adam.Update(s.W, g, s.M, s.V, s.Updates, rec.LearningRate, optim.ClipFactor(rec.Norm, t.cfg.Spec.MaxGradNorm))
		s.Updates++
	}
	s.Step++
	s.Digest = name(checkpoint.HashUpdated(s.W, s.M, s.V, update))
	rec.Digest = s.Digest
	t.history.add(s.Step, finishedSum{canonical, s.Digest})
	return rec, nil
}

// readBackEvery is how often a trainable is fetched from the device and compared.
const readBackEvery = 50

// upload gives the learner the new trainables, and now and then makes sure that
// the device holds what it was given.
func (t *Trainer) upload() error {
	if err := t.cfg.Learner.Upload(t.state.W); err != nil {
		return fatal(fmt.Errorf("give the device the parameters of step %d: %w", t.state.Step, err))
	}
	if t.state.Step%readBackEvery != 0 {
		return nil
	}
	p := t.cfg.Params[int(t.state.Step/readBackEvery)%len(t.cfg.Params)]
	held, err := t.cfg.Learner.ReadBack(p.Name)
	if err != nil {
		return fatal(fmt.Errorf("read %s back from the device: %w", p.Name, err))
	}
	return fatal(sameBits(p.Name, held, t.state.W[p.Offset:p.Offset+p.Size]))
}

// epoch is how often the data has been seen after so many steps.
func (t *Trainer) epoch(steps uint64) float64 {
	perStep := float64(t.cfg.Spec.Lanes) * float64(t.cfg.Spec.MicroBatchSize)
	return float64(steps) * perStep / float64(max(1, t.cfg.Data.Len()))
}
