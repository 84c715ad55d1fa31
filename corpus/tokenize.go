package corpus

import (
	"context"
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sync/errgroup"

	"carillon/shard"
	"carillon/tokenizer"
)

// Options says how text becomes tokens.
type Options struct {
	SequenceLen   int    // the most tokens that an example may have, end of text included
	Context       int    // the most that the model takes; 0: not known
	Excess        string // what becomes of a longer pair: drop, truncate or error; "": drop
	TrainOnInputs bool   // prompts are learnt too
}

// ErrEmpty is returned when no training example is left.
var ErrEmpty = errors.New("no training example is left")

// Tokenize makes the examples' tokens and labels, and adds to the report what
// was made and what was left out. Pairs keep their order; texts come after
// them, put end to end in order, each followed by an end of text, and cut into
// pieces of SequenceLen.
func Tokenize(ctx context.Context, tok *tokenizer.Tokenizer, examples []Example, o Options, report *Report, progress Progress) ([]shard.Example, error) {
	eos, ok := tok.EOS()
	switch {
	case !ok:
		return nil, errors.New("the base model names no end-of-text token: add eos_token to its tokenizer_config.json")
	case o.SequenceLen < 2:
		return nil, fmt.Errorf("sequence_len %d: want at least 2", o.SequenceLen)
	case o.Context > 0 && o.SequenceLen > o.Context:
		return nil, fmt.Errorf("sequence_len %d exceeds the %d tokens that the base model takes", o.SequenceLen, o.Context)
	}
	encoded, err := encode(ctx, tok, examples, progress)
	if err != nil {
		return nil, err
	}
	c := cutter{o: o, eos: eos, report: report}
	for i, x := range examples {
		if err := c.add(x, encoded[i]); err != nil {
			return nil, err
		}
	}
	out := c.finish()
	if report.Train == 0 {
		return nil, fmt.Errorf("%w: %d examples read, %d held out, %d longer than sequence_len %d", ErrEmpty, len(examples), report.HeldOut, report.Dropped, o.SequenceLen)
	}
	return out, nil
}

// ids are an example's tokens; prompt counts those of the prompt.
type ids struct {
	tokens []int32
	prompt int
}

// encode encodes the examples, several at once.
func encode(ctx context.Context, tok *tokenizer.Tokenizer, examples []Example, progress Progress) ([]ids, error) {
	const chunk = 512
	out := make([]ids, len(examples))
	for from := 0; from < len(examples); from += chunk {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if progress != nil {
			progress("tokenizing", from, len(examples))
		}
		var g errgroup.Group
		g.SetLimit(runtime.GOMAXPROCS(0))
		for i := from; i < min(from+chunk, len(examples)); i++ {
			g.Go(func() error {
				out[i] = encodeOne(tok, examples[i])
				return nil
			})
		}
		g.Wait() // encoding cannot fail
	}
	return out, nil
}

// encodeOne encodes prompt and completion apart, so that where one ends and the
// other begins does not depend on what the tokenizer would join.
func encodeOne(tok *tokenizer.Tokenizer, x Example) ids {
	tokens := tok.Encode(x.Prompt+x.Text, nil)
	return ids{tok.Encode(x.Completion, tokens), len(tokens)}
}

// cutter makes shard examples one by one.
type cutter struct {
	o      Options
	eos    int32
	report *Report
	out    []shard.Example
	texts  [2][]int32 // training and held-out text, end to end
}

func (c *cutter) add(x Example, e ids) error {
	if x.Text != "" {
		c.text(x, e.tokens)
		return nil
	}
	return c.pair(x, e)
}

// text adds a text to its stream, and an end of text unless it goes on.
func (c *cutter) text(x Example, tokens []int32) {
	part := 0
	if x.HeldOut {
		part = 1
		c.report.HeldOutTextBytes += len(x.Text)
	} else {
		c.report.TextBytes += len(x.Text)
	}
	c.texts[part] = append(c.texts[part], tokens...)
	if !x.Continued {
		c.texts[part] = append(c.texts[part], c.eos)
	}
}

func (c *cutter) pair(x Example, e ids) error {
	tokens := append(e.tokens, c.eos)
	if len(tokens) > c.o.SequenceLen {
		c.report.LongestLeftOut = max(c.report.LongestLeftOut, len(tokens))
		switch c.o.Excess {
		case "error":
			return fmt.Errorf("%s: %d tokens, more than sequence_len %d", x.From, len(tokens), c.o.SequenceLen)
		case "truncate":
			if e.prompt < c.o.SequenceLen {
				c.report.Truncated++
				tokens = tokens[:c.o.SequenceLen]
				break
			}
			fallthrough // nothing to learn would be left
		case "drop", "":
			c.report.Dropped++
			return nil
		default:
			return fmt.Errorf("excess_length_strategy %q: want drop, truncate or error", c.o.Excess)
		}
	}
	labels := append([]int32(nil), tokens...)
	if !c.o.TrainOnInputs {
		for i := range e.prompt {
			labels[i] = shard.Ignore
		}
	}
	c.keep(shard.Example{Tokens: tokens, Labels: labels, HeldOut: x.HeldOut})
	return nil
}

// finish cuts the streams of text. A last piece of one token teaches nothing
// and is left out.
func (c *cutter) finish() []shard.Example {
	for part, stream := range c.texts {
		for from := 0; from+1 < len(stream); from += c.o.SequenceLen {
			c.keep(shard.Example{Tokens: stream[from:min(from+c.o.SequenceLen, len(stream))], HeldOut: part == 1})
		}
	}
	return c.out
}

// keep adds an example and counts it.
func (c *cutter) keep(x shard.Example) {
	c.out = append(c.out, x)
	r := c.report
	r.Longest = max(r.Longest, len(x.Tokens))
	if x.HeldOut {
		r.HeldOut++
		r.HeldOutTokens += len(x.Tokens)
		return
	}
	r.Train++
	r.Tokens += len(x.Tokens)
	r.Learnt += learnt(x)
}

func learnt(x shard.Example) int {
	if x.Labels == nil {
		return len(x.Tokens)
	}
	n := 0
	for _, l := range x.Labels {
		if l != shard.Ignore {
			n++
		}
	}
	return n
}
