package corpus

import (
	"errors"
	"slices"

	"carillon/shard"
)

// masked is a text of which tokens are hidden and asked for. It stands in its
// frame; one that is too long is cut into pieces with a frame each, unless the recipe
// says what else becomes of it. goesOn: it is not the first stretch of a longer text.
func (m *maker) masked(x Example, goesOn bool) (made, error) {
	tokens, room := m.tok.Encode(x.Text, nil), m.spec.SequenceLen-m.single.len()
	d := made{full: len(tokens) + m.single.len()}
	if len(tokens) > room && m.spec.ExcessLengthStrategy != "" {
		var err error
		if d.fate, err = m.excess(x, d.full, m.spec.SequenceLen, "sequence_len"); d.fate == tooLong {
			return d, err
		}
		tokens = tokens[:room]
	}
	for piece := range slices.Chunk(tokens, room) {
		// One token that others of its text went before has nothing to be told by.
		if part, ok := m.maskable(piece); ok && (len(piece) > 1 || len(d.pieces) == 0) {
			part.HeldOut = x.HeldOut
			d.pieces = append(d.pieces, part)
		}
	}
	if len(d.pieces) == 0 && !goesOn && !x.Continued {
		return m.spoilt(x, errors.New("nothing to learn: its text has no token that can be hidden"))
	}
	return d, nil
}

// maskable is a text in its frame, all of whose tokens may be asked for but the special
// ones. ok: there is one.
func (m *maker) maskable(text []int32) (x shard.Example, ok bool) {
	x.Tokens, _ = m.single.put(text, nil)
	x.Labels = slices.Clone(x.Tokens)
	for i, id := range x.Tokens {
		framed := i < len(m.single.before) || i >= len(m.single.before)+len(text)
		if framed || m.tok.IsSpecial(id) {
			x.Labels[i] = shard.Ignore
		} else {
			ok = true
		}
	}
	return x, ok
}
