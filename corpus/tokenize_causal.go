package corpus

import (
	"errors"
	"fmt"
	"slices"

	"carillon/shard"
)

// text is learnt whole. It is a stretch of a stream, and never too long.
func (m *maker) text(x Example, goesOn bool) made {
	var d made
	if goesOn {
		d.Tokens = m.tok.EncodeAfter(x.Text, nil)
	} else {
		d.Tokens = m.tok.Encode(x.Text, append([]int32(nil), m.single.before...))
	}
	if !x.Continued {
		d.Tokens = m.ended(d.Tokens)
	}
	return d
}

// pair learns the completion and the end of text. The two are encoded apart, so
// that where one ends and the other begins does not depend on what the tokenizer
// would join.
func (m *maker) pair(x Example, prompt string) (made, error) {
	tokens := m.tok.Encode(prompt, append([]int32(nil), m.single.before...))
	from := len(tokens)
	if prompt == "" {
		tokens = m.tok.Encode(x.Completion, tokens)
	} else {
		tokens = m.tok.EncodeAfter(x.Completion, tokens)
	}
	tokens = m.ended(tokens)
	labels := append([]int32(nil), tokens...)
	if !m.spec.TrainOnInputs {
		for i := range from {
			labels[i] = shard.Ignore
		}
	}
	return m.fit(x, tokens, labels)
}

// conversation learns what the assistant says. The template alone decides which
// special tokens stand where.
func (m *maker) conversation(x Example) (made, error) {
	tokens, learnt, err := m.chat.encode(m.tok, x.Messages, m.spec.MaskHistory)
	if err != nil {
		return m.spoilt(x, err)
	}
	if !slices.Contains(learnt, true) {
		return m.spoilt(x, fmt.Errorf("nothing to learn: chat template %s writes nothing that the assistant says", m.chat.name))
	}
	labels := append([]int32(nil), tokens...)
	for i := range labels {
		if !learnt[i] && !m.spec.TrainOnInputs {
			labels[i] = shard.Ignore
		}
	}
	return m.fit(x, tokens, labels)
}

// ended adds what the tokenizer puts after a text, and an end of text unless one
// stands there.
func (m *maker) ended(tokens []int32) []int32 {
	tokens = append(tokens, m.single.after...)
	if n := len(tokens); n == 0 || tokens[n-1] != m.eos {
		tokens = append(tokens, m.eos)
	}
	return tokens
}

// fit cuts an example at its end, or leaves it out, as the recipe says. One of
// which nothing to learn would be left is left out.
func (m *maker) fit(x Example, tokens, labels []int32) (made, error) {
	most := m.spec.SequenceLen
	d := made{Example: shard.Example{Tokens: tokens, Labels: labels, HeldOut: x.HeldOut}, full: len(tokens)}
	if d.full > most {
		var err error
		if d.fate, err = m.excess(x, d.full, most, "sequence_len"); d.fate == tooLong {
			return d, err
		}
		d.Tokens, d.Labels = tokens[:most], labels[:most]
	}
	switch {
	case asks(d.Labels):
		return d, nil
	case d.fate == cut:
		d.fate = tooLong
		return d, nil
	}
	return m.spoilt(x, errors.New("nothing to learn: no token of it is learnt"))
}

// asks says whether a model is asked for any of the labels. For the first it
// never is: nothing comes before.
func asks(labels []int32) bool {
	for _, l := range labels[min(1, len(labels)):] {
		if l != shard.Ignore {
			return true
		}
	}
	return false
}

// excess says what becomes of an example of n tokens, more than the most that
// the key allows: cut, or tooLong, if with an error.
func (m *maker) excess(x Example, n, most int, key string) (fateOf, error) {
	switch m.spec.ExcessLengthStrategy {
	case "truncate":
		return cut, nil
	case "drop":
		return tooLong, nil
	case "error":
		return tooLong, fmt.Errorf("%s: %d tokens, more than %s %d", x.From, n, key, most)
	}
	return tooLong, fmt.Errorf("excess_length_strategy %q: want drop, truncate or error", m.spec.ExcessLengthStrategy)
}

// spoilt leaves out an example that cannot be used, where the recipe skips bad
// rows.
func (m *maker) spoilt(x Example, why error) (made, error) {
	err := fmt.Errorf("%s: %w", x.From, why)
	if m.spec.OnBadRow != "skip" {
		return made{}, err
	}
	return made{fate: unusable, why: err}, nil
}
