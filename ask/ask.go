package ask

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"carillon/backend"
	"carillon/export"
	"carillon/job"
	"carillon/model"
	"carillon/safetensors"
	"carillon/tokenizer"
)

// Asker is a model with or without an adapter, ready to be asked. It is for one
// goroutine at a time.
type Asker struct {
	base    string
	model   *model.Model
	session *model.Session
	tok     *tokenizer.Tokenizer
	width   []int // bytes of text that each token stands for
}

// Open loads the model directory base ("": where the spec has it) with what spec
// trains put into it, and the adapter of adapterDir, if that is not empty: then the
// method is the adapter's, and the task too where the spec names none. A spec
// without a method, or without an adapter where the method's own start is another,
// asks the base alone.
func Open(ctx context.Context, be *backend.Backend, base, adapterDir string, spec job.Spec) (*Asker, error) {
	var tensors []safetensors.Tensor
	if adapterDir != "" {
		info, ts, err := export.Open(adapterDir)
		if err != nil {
			return nil, fmt.Errorf("adapter %s: %w", adapterDir, err)
		}
		spec, tensors = spec.WithMethod(info.Spec), ts
		if spec.TaskType == "" {
			spec.TaskType, spec.Labels = info.Spec.TaskType, info.Spec.Labels
		}
		if base == "" && spec.BaseModel == "" {
			base = info.Base
		}
	}
	if adapterDir == "" && slices.Contains(awayFromBase, spec.Method) {
		spec = spec.WithMethod(job.Spec{})
	}
	if base == "" {
		base = spec.BaseModel
	}
	a := &Asker{base: base}
	if err := a.load(ctx, be, withMethod(spec)); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	if tensors == nil {
		return a, nil
	}
	if err := a.SetTrainables(tensors); err != nil {
		return nil, errors.Join(fmt.Errorf("adapter %s: %w", adapterDir, err), a.Close())
	}
	return a, nil
}

// awayFromBase are the methods of which the model says something else than the base
// before anything is trained.
var awayFromBase = []string{"adapter", "prefix", "prompt"}

// withMethod gives a spec without a method the smallest that leaves the base as it
// is: a session needs one.
func withMethod(spec job.Spec) job.Spec {
	if spec.Method == "" {
		spec.Method = "lora"
		spec.LoRA = &job.LoRA{R: 1, LoraAlpha: 1, TargetModules: []string{"all-linear"}, Bias: "none"}
	}
	return spec
}

// load opens what is cheap and fails often first.
func (a *Asker) load(ctx context.Context, be *backend.Backend, spec job.Spec) (err error) {
	if a.tok, err = tokenizer.Open(a.base); err != nil {
		return err
	}
	a.width = widths(a.tok)
	if err := ctx.Err(); err != nil {
		return err
	}
	if a.model, err = model.Load(be, a.base, model.Options{ReinitWeights: spec.ReinitWeights, Seed: spec.Seed}); err != nil {
		return err
	}
	if got, most := a.tok.VocabSize(), a.model.Config().Vocab; got > most {
		return fmt.Errorf("%s: the tokenizer has %d tokens, and the model's vocab_size is %d", a.base, got, most)
	}
	a.session, err = a.model.Train(spec)
	return err
}

// widths returns how many bytes of text each token stands for; special tokens
// stand for none.
func widths(tok *tokenizer.Tokenizer) []int {
	w := make([]int, tok.VocabSize())
	for id := range w {
		w[id] = len(tok.DecodeText([]int32{int32(id)}))
	}
	return w
}

// Config returns the facts about the model.
func (a *Asker) Config() model.Config { return a.model.Config() }

// Close frees the model on the device and its files.
func (a *Asker) Close() error {
	var errs []error
	if a.session != nil {
		errs = append(errs, a.session.Close())
	}
	if a.model != nil {
		errs = append(errs, a.model.Close())
	}
	return errors.Join(errs...)
}
