package ask

import (
	"context"
	"errors"
	"fmt"

	"carillon/backend"
	"carillon/job"
	"carillon/model"
	"carillon/tokenizer"
)

// base is a model directory in memory, which all that is asked over it share: its
// weights are on the device once.
type base struct {
	dir   string
	model *model.Model
	tok   *tokenizer.Tokenizer
	width []int // bytes of text that each token stands for
	seats map[string]*seat
}

// seat is a session, which adapters of one kind take by turns: what they trained has
// the same names and shapes, and the programs that one of them compiled serve all.
type seat struct {
	session *model.Session
	holds   *Asker // whose trainables are in the session; nil: nobody's
	fresh   bool   // in the session is what its method starts from
}

// openBase opens what is cheap and fails often first.
func openBase(ctx context.Context, be *backend.Backend, dir string, spec job.Spec) (b *base, err error) {
	b = &base{dir: dir, seats: map[string]*seat{}}
	if b.tok, err = tokenizer.Open(dir); err != nil {
		return nil, err
	}
	b.width = widths(b.tok)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if b.model, err = model.Load(be, dir, optionsOf(spec)); err != nil {
		return nil, err
	}
	if got, most := b.tok.VocabSize(), b.model.Config().Vocab; got > most {
		return nil, errors.Join(fmt.Errorf("%s: the tokenizer has %d tokens, and the model's vocab_size is %d", dir, got, most), b.Close())
	}
	return b, nil
}

// optionsOf says how a recipe loads its base model.
func optionsOf(spec job.Spec) model.Options {
	return model.Options{ReinitWeights: spec.ReinitWeights, Seed: spec.Seed}
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

// seatFor returns the seat for what a spec trains.
func (b *base) seatFor(spec job.Spec) (*seat, error) {
	spec = withMethod(spec)
	kind := string(spec.Encode())
	if s, ok := b.seats[kind]; ok {
		return s, nil
	}
	session, err := b.model.Train(spec)
	if err != nil {
		return nil, err
	}
	b.seats[kind] = &seat{session: session, fresh: true}
	return b.seats[kind], nil
}

// withMethod gives a spec without a method the smallest that leaves the base as it
// is: a session needs one.
func withMethod(spec job.Spec) job.Spec {
	if spec.Method == "" {
		spec.Method = "lora"
		spec.LoRA = &job.LoRA{R: 1, LoraAlpha: 1, TargetModules: []string{"all-linear"}, Bias: "none"}
	}
	return spec
}

// Close frees the model on the device, with all sessions over it.
func (b *base) Close() error {
	var errs []error
	for _, s := range b.seats {
		errs = append(errs, s.session.Close())
	}
	return errors.Join(append(errs, b.model.Close())...)
}
