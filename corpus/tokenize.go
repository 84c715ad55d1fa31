package corpus

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"carillon/job"
	"carillon/shard"
	"carillon/tokenizer"
)

// ErrEmpty is returned when no training example is left.
var ErrEmpty = errors.New("no training example is left")

// Tokenize makes the rows of the shard, and completes the report. spec is a
// resolved one; limit is the most tokens that the base model takes, 0 if that is
// not known. Rows keep the order of the data; texts come after everything else,
// put end to end in order and cut into pieces of sequence_len. With sample_packing
// every example, each text too, is part of a pack.
func (r *Reading) Tokenize(ctx context.Context, spec job.Spec, tok *tokenizer.Tokenizer, limit int, progress Progress) ([]shard.Example, Report, error) {
	rows, report, err := r.rows(ctx, spec, tok, limit, progress)
	if err != nil {
		return nil, report, err
	}
	out := make([]shard.Example, len(rows))
	for i := range rows {
		out[i] = rows[i].Example
	}
	return out, report, nil
}

// rows is Tokenize, with where each row is from.
func (r *Reading) rows(ctx context.Context, spec job.Spec, tok *tokenizer.Tokenizer, limit int, progress Progress) ([]madeRow, Report, error) {
	m, err := newMaker(spec, tok, limit, r.examples)
	if err != nil {
		return nil, r.report, err
	}
	all, err := m.all(ctx, r.examples, progress)
	if err != nil {
		return nil, r.report, err
	}
	c := newGatherer(spec, r.report)
	for i, x := range r.examples {
		c.add(x, all[i])
	}
	rows, report := c.finish()
	if report.Train == 0 {
		return nil, report, fmt.Errorf("%w: %s", ErrEmpty, report.losses())
	}
	return rows, report, nil
}

// maker makes tokens and labels of examples. It may be used by several
// goroutines at once.
type maker struct {
	spec    job.Spec
	tok     *tokenizer.Tokenizer
	single  frame // round one text
	double  frame // round two
	eos     int32 // -1: none
	chat    *chat // nil without conversations
	classes map[string]int32
}

// made is what became of one example.
type made struct {
	shard.Example
	full   int             // its tokens, before any were cut
	pieces []shard.Example // of masked_lm, in place of the one example
	fate   fateOf
	why    error // it is unusable
}

// fateOf is what becomes of an example.
type fateOf int

const (
	kept     fateOf = iota
	cut             // to sequence_len
	tooLong         // left out
	unusable        // left out
)

// newMaker looks at what the examples are, so that what does not fit is found
// before hours of tokenizing.
func newMaker(spec job.Spec, tok *tokenizer.Tokenizer, limit int, examples []Example) (*maker, error) {
	m := &maker{spec: spec, tok: tok, single: frameOf(tok, false), double: frameOf(tok, true), eos: -1, classes: map[string]int32{}}
	if id, ok := tok.EOS(); ok {
		m.eos = id
	}
	for i, name := range spec.Labels {
		m.classes[name] = int32(i)
	}
	kinds := map[string]bool{}
	for _, x := range examples {
		kinds[x.Kind] = true
	}
	if err := m.check(kinds, limit); err != nil {
		return nil, err
	}
	if kinds[TypeShareGPT] || kinds[TypeMessages] {
		var err error
		if m.chat, err = newChat(spec.ChatTemplate, tok); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *maker) check(kinds map[string]bool, limit int) error {
	n := m.spec.SequenceLen
	masked := m.spec.TaskType == job.MaskedLM
	ends := kinds[TypeText] && !masked || kinds[TypePairs] || kinds[TypeAlpaca] || kinds[TypeSeq2Seq]
	switch least := max(2, m.single.len()+1, m.double.len()+2); {
	case ends && m.eos < 0:
		return errors.New("the base model names no end-of-text token, in which what it learns to say would end: add eos_token to its tokenizer_config.json; an encoder such as BERT says nothing, and learns classes, numbers or with task_type: masked_lm hidden words")
	case masked && m.tok.SpecialText("mask_token") == "":
		return fmt.Errorf("task_type: %s; the base model names no mask token, which stands for a hidden one: add mask_token to its tokenizer_config.json", job.MaskedLM)
	case n < least:
		return fmt.Errorf("sequence_len %d: want at least %d", n, least)
	case limit > 0 && n > limit:
		return fmt.Errorf("sequence_len %d exceeds the %d tokens that the base model takes", n, limit)
	}
	return nil
}

// all makes the examples, several at once. The first error in the order of the
// data is returned, whichever is found first.
func (m *maker) all(ctx context.Context, examples []Example, progress Progress) ([]made, error) {
	const chunk = 512
	out, errs := make([]made, len(examples)), make([]error, len(examples))
	for from := 0; from < len(examples); from += chunk {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if progress != nil {
			progress("tokenizing", from, len(examples))
		}
		to := min(from+chunk, len(examples))
		var g errgroup.Group
		g.SetLimit(runtime.GOMAXPROCS(0))
		for i := from; i < to; i++ {
			g.Go(func() error {
				goesOn := i > 0 && examples[i-1].Continued
				out[i], errs[i] = m.make(examples[i], goesOn)
				return nil
			})
		}
		g.Wait() // errs has the errors
		if err := firstOf(errs[from:to]); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func firstOf(errs []error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// make makes one example of its kind. goesOn: it is text that goes on where the
// one before stops.
func (m *maker) make(x Example, goesOn bool) (made, error) {
	switch x.Kind {
	case TypeText:
		if m.spec.TaskType == job.MaskedLM {
			return m.masked(x, goesOn)
		}
		return m.text(x, goesOn), nil
	case TypeClassification, TypeRegression:
		return m.judged(x)
	case TypeShareGPT, TypeMessages:
		return m.conversation(x)
	}
	switch {
	case m.spec.TaskType == job.Seq2SeqLM:
		return m.translated(x)
	case x.Kind == TypeSeq2Seq:
		return m.pair(x, m.spec.SourcePrefix+x.Prompt)
	}
	return m.pair(x, x.Prompt)
}
