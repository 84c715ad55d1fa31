package corpus

import (
	"errors"
	"fmt"
	"math"
)

// judged is a text, or two, of which a class or a number is learnt.
func (m *maker) judged(x Example) (made, error) {
	a, b, f := m.tok.Encode(x.Text, nil), []int32(nil), m.single
	if x.Text2 != "" {
		b, f = m.tok.Encode(x.Text2, nil), m.double
	}
	d := made{full: f.len() + len(a) + len(b)}
	d.HeldOut = x.HeldOut
	if most := m.spec.SequenceLen; d.full > most {
		var err error
		if d.fate, err = m.excess(x, d.full, most, "sequence_len"); d.fate == tooLong {
			return d, err
		}
		na, nb := longestFirst(len(a), len(b), most-f.len())
		a, b = a[:na], b[:nb]
	}
	if len(a)+len(b) == 0 {
		return m.spoilt(x, errors.New("nothing to learn from: its text has no token"))
	}
	var second int
	if d.Tokens, second = f.put(a, b); len(b) > 0 && second > 0 {
		d.Starts = []int32{int32(second)}
	}
	var err error
	d.Labels, err = m.judgement(x)
	return d, err
}

// judgement is what is learnt: a class, or the bits of a float32.
func (m *maker) judgement(x Example) ([]int32, error) {
	if x.Kind == TypeRegression {
		return []int32{int32(math.Float32bits(float32(x.Value)))}, nil
	}
	class, ok := m.classes[x.Label]
	if !ok {
		return nil, fmt.Errorf("%s: label %q is not one of labels %s", x.From, x.Label, quoted(m.spec.Labels))
	}
	return []int32{class}, nil
}

// longestFirst cuts two lengths to a sum: the longer one down to the other, then
// both alike, as Hugging Face's tokenizers do.
func longestFirst(a, b, most int) (int, int) {
	short := min(a, b)
	long := max(short, most-short)
	if short+long > most {
		short, long = most/2, most-most/2
	}
	if a > b {
		return long, short
	}
	return short, long
}
