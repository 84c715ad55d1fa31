package ask

import (
	"context"
	"errors"
	"fmt"
	"math"

	"carillon/allreduce"
	"carillon/model"
	"carillon/shard"
)

// Loss is the loss of many examples.
type Loss struct {
	Sum      float64 // nats, over all predicted tokens
	Tokens   int64   // predicted: learnt, and with a token before them
	Bytes    int64   // of the text that these tokens stand for
	Examples int64
}

// Mean returns the loss in nats per token.
func (l Loss) Mean() float64 { return l.Sum / float64(l.Tokens) }

// Perplexity returns e to the mean loss.
func (l Loss) Perplexity() float64 { return math.Exp(l.Mean()) }

// BitsPerByte returns the loss in bits per byte of predicted text, which can be
// compared between tokenizers.
func (l Loss) BitsPerByte() float64 { return l.Sum / math.Ln2 / float64(l.Bytes) }

// ErrNothingHeldOut is returned where there is nothing to evaluate.
var ErrNothingHeldOut = errors.New("nothing is held out: set val_set_size, or held_out of a data set")

// HeldOut returns the loss of a set's held-out part, in the batches of the plan, as
// a run evaluates it. progress, unless it is nil, hears the batches done.
func (a *Asker) HeldOut(ctx context.Context, set *shard.Set, plan shard.Plan, progress func(done, total int)) (Loss, error) {
	if set.Vocab() > a.Config().Vocab {
		return Loss{}, fmt.Errorf("the data set has a vocabulary of %d, and the model of %d", set.Vocab(), a.Config().Vocab)
	}
	if err := set.Check(plan); err != nil {
		return Loss{}, err
	}
	var (
		loss  Loss
		tail  allreduce.Tail
		batch shard.Batch
		total = set.EvalBatches(plan)
	)
	for j := range total {
		if err := ctx.Err(); err != nil {
			return Loss{}, err
		}
		set.EvalBatch(&batch, plan, j)
		if err := a.addBatch(&batch, &tail, &loss); err != nil {
			return Loss{}, fmt.Errorf("evaluation batch %d: %w", j, err)
		}
		if progress != nil {
			progress(j+1, total)
		}
	}
	if loss.Tokens == 0 {
		return Loss{}, ErrNothingHeldOut
	}
	// Counted in integers, as the nodes of a run do.
	loss.Sum = float64(tail[allreduce.Loss]) / (1 << 20)
	return loss, nil
}

// addBatch runs one batch and counts it.
func (a *Asker) addBatch(b *shard.Batch, tail *allreduce.Tail, loss *Loss) error {
	if b.Real == 0 {
		return nil
	}
	sum, err := a.session.Loss(model.Input{Rows: b.Rows, Len: b.Len, Tokens: b.Tokens, Labels: b.Labels, Mask: b.Mask})
	if err != nil {
		return err
	}
	tail.AddLoss(sum)
	if tail[allreduce.BadLoss] > 0 {
		return fmt.Errorf("the loss is %v", sum)
	}
	loss.Tokens += b.Predicted()
	loss.Bytes += a.predictedBytes(b)
	loss.Examples += int64(b.Real)
	return nil
}

// predictedBytes returns how many bytes of text the batch's predicted tokens are.
func (a *Asker) predictedBytes(b *shard.Batch) (n int64) {
	for i, label := range b.Labels {
		if i%b.Len != 0 && label != shard.Ignore && int(label) < len(a.width) {
			n += int64(a.width[label])
		}
	}
	return n
}
