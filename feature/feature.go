// Package feature tunes without touching the model: each text is read once, and what
// is fitted stands on top of what the model made of it.
//
// # How
//
// The base model makes one vector of each example of a shard, training part first,
// then what is held out; of text that a decoder writes, one of each token that is
// learnt. The vectors are kept in a file that is named by what they follow from: base
// hash, shard hash, pooling and backend. So a second run, with another classifier, seed
// or strength of the penalty, reads no text again and loads no model.
//
// To classes a logistic regression or a network with one hidden layer is fitted, to
// numbers a ridge regression: to convergence with all examples in each step, and how
// strongly large weights are punished is chosen by cross-validation on the training
// part alone. To text a new output layer is fitted in large batches, from the base's
// own, until what is held out gets no better.
//
// The same shard, base, backend and seed give the same bits, on any number of nodes:
// what stands in a batch follows from the shard, and no sum depends on timing.
//
// # Failure
//
// Vectors are written in blocks, each with its hash. What was written when a
// process died is used by the next one; a block that is not what its hash says is
// computed again. Of nodes that read together one that dies leaves its blocks to this
// process. What does not fit into memory, and tasks for which nothing is built, are
// refused.
//
// # Who decides
//
// The recipe's section feature says what stands for a text and what is fitted, its
// nodes how many processes read. Who starts them is the caller's matter.
package feature

import (
	"context"
	"fmt"
	"path/filepath"
	"time"

	"carillon/ask"
	"carillon/backend"
	"carillon/corpus"
	"carillon/job"
	"carillon/shard"
)

// Result says what a run made.
type Result struct {
	OutputDir  string  `json:"output_dir"`
	Export     string  `json:"export"` // the classifier's directory
	Vectors    string  `json:"vectors"`
	Task       string  `json:"task_type"`
	Classifier string  `json:"classifier"` // logistic, mlp, ridge or output layer
	Accuracy   float64 `json:"accuracy"`   // on what is held out; 0 if nothing is, and of a regression
	HeldOut    int     `json:"held_out"`
	Loss       float64 `json:"held_out_loss"` // nats per example or token, or the mean squared error
	TrainLoss  float64 `json:"train_loss"`
	BaseLoss   float64 `json:"base_loss,omitempty"` // of the base's own output layer, nats per token
	C          float64 `json:"c"`                   // the strength chosen: the larger, the weaker the penalty
	Validated  float64 `json:"cross_validated"`     // the accuracy in cross-validation with it, or the mean squared error

	Trainable int     `json:"trainable_parameters"`
	Rows      int     `json:"examples"` // of text: the tokens that are learnt, here and below
	Encoded   int     `json:"encoded"`  // examples that were read in this run
	Tokens    int     `json:"tokens"`   // of all examples
	Reading   float64 `json:"encode_seconds"`
	Fitting   float64 `json:"fit_seconds"`
}

// Train does all that a recipe says: reads its data, makes vectors of it, fits the
// classifier and writes it to the folder adapter of output_dir.
func Train(ctx context.Context, be *backend.Backend, spec job.Spec, progress corpus.Progress) (Result, error) {
	s, err := Open(ctx, be, spec, progress)
	if err != nil {
		return Result{}, err
	}
	defer s.Close()
	return s.Train(ctx)
}

// Train fits the classifier that the spec names, and writes it.
func (s *Source) Train(ctx context.Context) (Result, error) {
	r := Result{OutputDir: s.spec.OutputDir, Export: filepath.Join(s.spec.OutputDir, "adapter"), Task: s.spec.TaskType, Classifier: s.kind(),
		Rows: s.set.Len() + s.set.HeldOutLen(), Tokens: s.set.Tokens(), HeldOut: s.set.HeldOutLen(), Vectors: s.key.String()}
	if s.set.Len() == 0 {
		return r, fmt.Errorf("there are no training examples")
	}
	if s.words != nil {
		r.Rows, r.HeldOut = s.words.rows(), s.words.rows()-s.words.held
		if err := s.room(free()); err != nil {
			return r, err
		}
	}
	began := time.Now()
	cache, computed, err := s.vectors(ctx, 0)
	if err != nil {
		return r, err
	}
	defer cache.Close()
	r.Encoded, r.Reading = computed, time.Since(began).Seconds()
	began = time.Now()
	if s.words != nil {
		err := s.trainHead(ctx, cache, &r)
		r.Fitting = time.Since(began).Seconds()
		return r, err
	}
	train, labels := cache.Rows(0, s.set.Len()), s.labels(0, s.set.Len())
	c, err := s.fit(ctx, train, labels, &r)
	if err != nil {
		return r, err
	}
	r.Fitting, r.Trainable = time.Since(began).Seconds(), c.size()
	r.TrainLoss = c.judge(train, labels).Mean()
	if r.HeldOut > 0 {
		l := c.judge(cache.Rows(s.set.Len(), r.Rows), s.labels(s.set.Len(), r.Rows))
		r.Loss = l.Mean()
		if s.spec.TaskType == job.SeqCls {
			r.Accuracy = l.Accuracy()
		}
	}
	return r, c.save(r.Export)
}

// ridge is what is fitted to numbers.
const ridge = "ridge"

// kind is what is fitted.
func (s *Source) kind() string {
	switch s.spec.TaskType {
	case job.Regression:
		return ridge
	case job.CausalLM, job.Seq2SeqLM:
		return layerKind
	}
	return s.spec.Feature.Classifier
}

// fit fits the classifier that the spec names.
func (s *Source) fit(ctx context.Context, rows Rows, labels []int, r *Result) (c *Classifier, err error) {
	f, classes := s.spec.Feature, len(s.spec.Labels)
	c = &Classifier{Task: s.spec.TaskType, Base: s.spec.BaseModel, BaseHash: hexOf(s.facts.Hash), Pooling: f.Pooling, Kind: s.kind(), Labels: s.spec.Labels, Vectors: s.key.String()}
	switch c.Kind {
	case ridge:
		c.layers, r.C, r.Validated, err = chooseRidge(rows, labels, s.spec.Seed)
	case "mlp":
		c.layers, r.C, r.Validated, err = chooseMLP(ctx, rows, labels, classes, f.HiddenSize, s.spec.Seed)
	default:
		c.layers, r.C, r.Validated, err = chooseLogistic(rows, labels, classes, s.spec.Seed)
	}
	if err != nil {
		return nil, fmt.Errorf("fit a classifier: %w", err)
	}
	c.C = r.C
	return c, nil
}

// labels are the classes, or the numbers' bits, of examples [from, to), held-out ones after the others.
func (s *Source) labels(from, to int) []int {
	labels := make([]int, 0, to-from)
	for i := from; i < to; i++ {
		labels = append(labels, int(s.example(i).Labels[0]))
	}
	return labels
}

// example is example i, held-out ones after the others.
func (s *Source) example(i int) shard.Example {
	if i < s.set.Len() {
		return s.set.Example(i)
	}
	return s.set.HeldOut(i - s.set.Len())
}

// HeldOut asks a classifier in a directory of what a recipe holds out.
func HeldOut(ctx context.Context, be *backend.Backend, dir string, spec job.Spec, progress corpus.Progress) (ask.Loss, error) {
	c, err := load(dir)
	if err != nil {
		return ask.Loss{}, fmt.Errorf("classifier %s: %w", dir, err)
	}
	s, err := Open(ctx, be, c.recipe(spec), progress)
	if err != nil {
		return ask.Loss{}, err
	}
	defer s.Close()
	if got := hexOf(s.facts.Hash); got != c.BaseHash {
		return ask.Loss{}, fmt.Errorf("classifier %s is for the base model %s with hash %.12s…, and %s has %.12s…", dir, c.Base, c.BaseHash, s.spec.BaseModel, got)
	}
	if s.set.HeldOutLen() == 0 {
		return ask.Loss{}, ask.ErrNothingHeldOut
	}
	cache, _, err := s.vectors(ctx, s.set.Len())
	if err != nil {
		return ask.Loss{}, err
	}
	defer cache.Close()
	to := s.set.Len() + s.set.HeldOutLen()
	return c.judge(cache.Rows(s.set.Len(), to), s.labels(s.set.Len(), to)), nil
}
