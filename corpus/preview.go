package corpus

import (
	"context"
	"math"
	"slices"
	"strings"

	"carillon/job"
	"carillon/shard"
	"carillon/tokenizer"
)

// Shown is a row of the shard with what people want to know of it.
type Shown struct {
	shard.Example
	From  []string // where its examples are from
	Parts []Part   // the examples of a pack, the two texts of a pair, or one
	// Target is what the decoder learns to say; of seq2seq_lm. Of masked_lm it is the
	// text before tokens of it were hidden.
	Target Part
	Label  string  // the name of the class; of seq_cls
	Value  float64 // of regression
}

// Part is a text of a row, in stretches of one kind.
type Part []Stretch

// Stretch is a run of tokens as text.
type Stretch struct {
	Text    string `json:"text"`
	Learnt  bool   `json:"learnt"`  // the model is asked for these tokens
	Special bool   `json:"special"` // they stand for themselves, not for text
}

// Preview returns the first n rows as the model will see them, for the first time
// where it sees them with other tokens hidden each time; the last of them is held
// out, if anything is. The report is that of all. spec and limit are as for Tokenize.
func (r *Reading) Preview(ctx context.Context, spec job.Spec, tok *tokenizer.Tokenizer, limit, n int) ([]Shown, Report, error) {
	rows, report, err := r.rows(ctx, spec, tok, limit, nil)
	if err != nil {
		return nil, report, err
	}
	train := n
	if n > 1 && report.HeldOut > 0 {
		train--
	}
	var out []Shown
	left := map[bool]int{false: train, true: n - min(train, report.Train)}
	for _, heldOut := range []bool{false, true} {
		for _, row := range rows {
			if row.HeldOut == heldOut && left[heldOut] > 0 {
				left[heldOut]--
				out = append(out, shown(row, spec, tok, maskKey(row, spec.Seed, len(out), report.Train)))
			}
		}
	}
	return out, report, nil
}

// maskKey says what is hidden of a row: of a training example, the i-th of n, when it
// first comes.
func maskKey(row madeRow, seed uint64, i, n int) job.Key {
	if row.HeldOut {
		return shard.HeldOutMaskKey(row.Tokens)
	}
	return shard.MaskKey(seed, shard.FirstPosition(seed, uint64(i), uint64(n)))
}

// Learnt returns how many of its tokens are learnt.
func (s Shown) Learnt() int { return learnt(s.Example) }

// shown takes a row back to text. key says what is hidden of it, if anything is.
func shown(row madeRow, spec job.Spec, tok *tokenizer.Tokenizer, key job.Key) Shown {
	s := Shown{Example: row.Example, From: row.from}
	if spec.TaskType == job.MaskedLM {
		return s.masked(spec, tok, key)
	}
	causal := spec.TaskType == job.CausalLM
	from := 0
	for _, to := range append(row.Starts[:len(row.Starts):len(row.Starts)], int32(len(row.Tokens))) {
		s.Parts = append(s.Parts, stretches(tok, row.Tokens[from:to], func(i int) bool {
			return causal && (row.Labels == nil || row.Labels[from+i] != shard.Ignore)
		}))
		from = int(to)
	}
	switch spec.TaskType {
	case job.SeqCls:
		s.Label = spec.Labels[row.Labels[0]]
	case job.Regression:
		s.Value = float64(math.Float32frombits(uint32(row.Labels[0])))
	case job.Seq2SeqLM:
		s.Target = stretches(tok, row.Labels, func(int) bool { return true })
	}
	return s
}

// masked hides tokens as a batch does.
func (s Shown) masked(spec job.Spec, tok *tokenizer.Tokenizer, key job.Key) Shown {
	whole := s.Tokens
	s.Tokens, s.Labels = slices.Clone(s.Tokens), slices.Clone(s.Labels)
	id, _ := tok.MASK() // without one there are no rows
	shard.Masking{Share: spec.MLMProbability, Token: id, Vocab: tok.VocabSize()}.Apply(key, s.Tokens, s.Labels)
	asked := func(i int) bool { return s.Labels[i] != shard.Ignore }
	s.Parts, s.Target = []Part{stretches(tok, s.Tokens, asked)}, stretches(tok, whole, asked)
	return s
}

// stretches cuts tokens where they begin or cease to be learnt, or special. The
// text of one token may depend on those before it, so it is decoded as a stream;
// half a character counts as part of the token that completes it.
func stretches(tok *tokenizer.Tokenizer, ids []int32, learnt func(i int) bool) Part {
	var p Part
	add := func(text string, learnt, special bool) {
		text = strings.ToValidUTF8(text, "\uFFFD")
		if n := len(p); n > 0 && p[n-1].Learnt == learnt && p[n-1].Special == special {
			p[n-1].Text += text
		} else if text != "" {
			p = append(p, Stretch{text, learnt, special})
		}
	}
	stream := tok.Stream()
	for i, id := range ids {
		if tok.IsSpecial(id) {
			add(tok.Token(id), learnt(i), true)
			continue
		}
		add(stream.Push(id), learnt(i), false)
	}
	if n := len(ids); n > 0 {
		add(stream.Flush(), learnt(n-1), false)
	}
	return p
}
