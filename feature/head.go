package feature

import (
	"context"
	"fmt"
	"slices"

	"carillon/export"
	"carillon/job"
	"carillon/model"
	"carillon/optim"
	"carillon/safetensors"
)

// How an output layer is trained: from the base's own by Adam, in batches of so many
// tokens, in an order that the seed draws for each pass. A pass that makes it better
// is followed by one at a higher rate; one that does not is taken back, and followed by
// one at a third of the rate, until that is small.
const (
	headBatch  = 256
	firstRate  = 1e-3
	growth     = 1.5
	mostRate   = 0.03
	lastRate   = 2e-5
	mostPasses = 40
)

// layerKind is what is fitted to text.
const layerKind = "output layer"

// headState is an output layer being trained.
type headState struct {
	session    *model.Session
	rows       Rows
	labels     []int32
	train, try []int // rows that are learnt, and rows that say how well

	w, m, v, grad, best []float32
	updates             uint64
	states              []float32 // of a batch
}

// trainHead trains an output layer, and writes it.
func (s *Source) trainHead(ctx context.Context, cache *Cache, r *Result) error {
	session, err := s.session()
	if err != nil {
		return err
	}
	h := &headState{session: session, rows: cache.Rows(0, s.words.rows()), labels: s.words.labels}
	h.train, h.try = s.words.split()
	if len(h.train) == 0 || len(h.try) == 0 {
		return fmt.Errorf("%d tokens to learn and %d to try on; want some of both", len(h.train), len(h.try))
	}
	h.w = session.Initial()
	n := len(h.w)
	h.m, h.v, h.grad, h.states = make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, headBatch*s.facts.Width)
	loss, err := h.fit(ctx, s.spec.Seed, func(pass int, loss float64) {
		if s.progress != nil {
			s.progress("fit", pass, mostPasses)
		}
	})
	if err != nil {
		return fmt.Errorf("train an output layer: %w", err)
	}
	r.BaseLoss, r.Trainable = loss.first, n
	if r.Loss = loss.best; s.words.held == s.words.rows() {
		r.Loss = 0
	}
	if r.TrainLoss, err = h.loss(h.train); err != nil {
		return err
	}
	info := export.AdapterInfo{Base: s.spec.BaseModel, BaseSHA256: hexOf(s.facts.Hash), Spec: s.spec}
	p := session.Params()[0]
	_, err = export.Adapter(r.Export, info, []safetensors.Tensor{{Name: p.Name, Shape: p.Shape, Data: h.w}})
	return err
}

// split returns the rows that are learnt, and those that decide when it is enough:
// what is held out, or, if nothing is, every tenth example.
func (w *words) split() (train, try []int) {
	for i := range len(w.first) - 1 {
		for row := w.first[i]; row < w.first[i+1]; row++ {
			if row >= w.held || w.held == w.rows() && i%10 == 9 {
				try = append(try, row)
			} else {
				train = append(train, row)
			}
		}
	}
	return train, try
}

// losses are those of the rows that say how well.
type losses struct{ first, best float64 }

// fit trains until no pass makes it better, and leaves the best in w.
func (h *headState) fit(ctx context.Context, seed uint64, passed func(pass int, loss float64)) (l losses, err error) {
	if l.first, err = h.loss(h.try); err != nil {
		return l, err
	}
	l.best, h.best = l.first, slices.Clone(h.w)
	for pass, rate := 0, firstRate; pass < mostPasses && rate >= lastRate; pass++ {
		if err := h.pass(ctx, h.order(seed, pass), rate); err != nil {
			return l, err
		}
		loss, err := h.loss(h.try)
		if err != nil {
			return l, err
		}
		passed(pass, loss)
		if loss < l.best {
			l.best = loss
			copy(h.best, h.w)
			rate = min(rate*growth, mostRate)
			continue
		}
		rate /= 3
		if err := h.back(); err != nil {
			return l, err
		}
	}
	return l, h.back()
}

// back makes the best the present, without what its steps have gathered.
func (h *headState) back() error {
	copy(h.w, h.best)
	clear(h.m)
	clear(h.v)
	h.updates = 0
	return h.session.Upload(h.w)
}

// order draws the order of a pass.
func (h *headState) order(seed uint64, pass int) []int {
	key, order := job.NewKey(seed, job.ForExamples, job.NameWord("output layer"), uint64(pass)), slices.Clone(h.train)
	for i := len(order) - 1; i > 0; i-- {
		k := int(uint64(key.At(uint64(i))) * uint64(i+1) >> 32)
		order[i], order[k] = order[k], order[i]
	}
	return order
}

// pass makes a step for each batch.
func (h *headState) pass(ctx context.Context, order []int, rate float64) error {
	adam := optim.AdamW{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8}
	for batch := range slices.Chunk(order, headBatch) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if _, err := h.gradient(batch); err != nil {
			return err
		}
		adam.UpdateAll(h.w, h.grad, h.m, h.v, h.updates, rate, 1/float64(len(batch)))
		h.updates++
		if err := h.session.Upload(h.w); err != nil {
			return err
		}
	}
	return nil
}

// loss returns the mean of rows.
func (h *headState) loss(rows []int) (sum float64, err error) {
	for batch := range slices.Chunk(rows, headBatch) {
		loss, err := h.gradient(batch)
		if err != nil {
			return 0, err
		}
		sum += loss
	}
	return sum / float64(len(rows)), nil
}

// gradient fills in that of a batch, and returns its loss. Rows that it lacks are
// empty: there is one shape.
func (h *headState) gradient(batch []int) (float64, error) {
	width, labels := h.rows.Width(), slices.Repeat([]int32{-100}, headBatch)
	clear(h.states[len(batch)*width:])
	for i, row := range batch {
		h.rows.copy(row, h.states[i*width:][:width])
		labels[i] = h.labels[row]
	}
	loss, err := h.session.HeadGradient(h.states, labels, h.grad)
	if err == nil && loss-loss != 0 {
		err = fmt.Errorf("the loss of %d tokens is %v", len(batch), loss)
	}
	return float64(loss), err
}
