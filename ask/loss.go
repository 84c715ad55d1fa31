package ask

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"carillon/allreduce"
	"carillon/job"
	"carillon/model"
	"carillon/shard"
)

// Loss is the loss of many examples.
type Loss struct {
	Task     string  // what the model was asked for: a task_type of a recipe
	Sum      float64 // nats, over all predicted tokens or classes; of a regression, squared errors
	Tokens   int64   // predicted: learnt, and with a token before them or hidden; of a classifier or a regression, the examples
	Bytes    int64   // causal_lm: of the text that these tokens stand for
	Examples int64
	Right    int64 // seq_cls: the examples whose likeliest class is theirs
}

// Mean returns the loss in nats per token or example; of a regression it is the
// mean squared error.
func (l Loss) Mean() float64 { return l.Sum / float64(l.Tokens) }

// Accuracy returns the share of the examples whose likeliest class is theirs.
func (l Loss) Accuracy() float64 { return float64(l.Right) / float64(l.Examples) }

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
	if err := a.fits(set, plan); err != nil {
		return Loss{}, err
	}
	if _, err := a.seated(); err != nil {
		return Loss{}, err
	}
	var (
		loss  = Loss{Task: a.session().Task()}
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

// fits says why a set is not one that the model can be asked of.
func (a *Asker) fits(set *shard.Set, plan shard.Plan) error {
	if set.Vocab() > a.Config().Vocab {
		return fmt.Errorf("the data set has a vocabulary of %d, and the model of %d", set.Vocab(), a.Config().Vocab)
	}
	if task := set.Info().Task.String(); task != a.session().Task() {
		return fmt.Errorf("the data set is for task_type %s, and the model is for %s", task, a.session().Task())
	}
	return set.Check(plan)
}

// addBatch runs one batch and counts it.
func (a *Asker) addBatch(b *shard.Batch, tail *allreduce.Tail, loss *Loss) error {
	if b.Real == 0 {
		return nil
	}
	in := model.Input{
		Rows: b.Rows, Len: b.Len, Tokens: b.Tokens, Labels: b.Labels, Mask: b.Mask,
		Targets: b.Targets, DecoderTokens: b.DecoderTokens, TargetLen: b.TargetLen,
	}
	sum, right, err := a.lossOf(in)
	if err != nil {
		return err
	}
	tail.AddLoss(sum)
	if tail[allreduce.BadLoss] > 0 {
		return fmt.Errorf("the loss is %v", sum)
	}
	loss.Tokens += b.Predicted()
	loss.Bytes += a.predictedBytes(b)
	loss.Examples += a.examplesIn(b)
	loss.Right += right
	return nil
}

// examplesIn counts a batch's examples: its rows, or what is packed into them.
func (a *Asker) examplesIn(b *shard.Batch) (n int64) {
	if a.session().Task() != job.CausalLM {
		return int64(b.Real)
	}
	for row := range slices.Chunk(b.Mask, b.Len) {
		n += int64(slices.Max(row)) // the number of the last part
	}
	return n
}

// lossOf runs one batch: its loss, and a classifier's right answers.
func (a *Asker) lossOf(in model.Input) (sum float32, right int64, err error) {
	sum, outputs, err := a.session().Evaluate(in)
	if err != nil || a.session().Task() != job.SeqCls {
		return sum, 0, err
	}
	classes := len(outputs) / in.Rows
	for r, class := range in.Targets {
		if class != shard.Ignore && largest(outputs[r*classes:][:classes]) == int(class) {
			right++
		}
	}
	return sum, right, nil
}

// largest returns the first index of the largest number.
func largest(x []float32) int {
	best := 0
	for i, v := range x {
		if v > x[best] {
			best = i
		}
	}
	return best
}

// predictedBytes returns how many bytes of text the batch's predicted tokens are, of
// a model that goes on with texts.
func (a *Asker) predictedBytes(b *shard.Batch) (n int64) {
	if a.session().Task() != job.CausalLM {
		return 0
	}
	for i, label := range b.Labels {
		if i%b.Len != 0 && label != shard.Ignore && int(label) < len(a.width) {
			n += int64(a.width[label])
		}
	}
	return n
}
