package corpus

import "cmp"

// translated is a source for the encoder and a target for the decoder, which is
// learnt. Each is cut before what the tokenizer puts after it, so that it ends
// as a whole one does.
func (m *maker) translated(x Example) (made, error) {
	source := m.tok.Encode(m.spec.SourcePrefix+x.Prompt, nil)
	target := m.tok.Encode(x.Completion, nil)
	d := made{full: max(len(source)+m.single.len(), len(target)+m.answer().len())}
	d.HeldOut = x.HeldOut
	var err error
	if d.Tokens, d.fate, err = m.within(x, source, m.single, m.spec.SequenceLen, "sequence_len"); d.fate == tooLong {
		return d, err
	}
	most := cmp.Or(m.spec.MaxTargetLength, m.spec.SequenceLen)
	labels, fate, err := m.within(x, target, m.answer(), most, "max_target_length")
	d.Labels, d.fate = labels, max(d.fate, fate)
	return d, err
}

// answer is what a target stands in: it ends in an end of text.
func (m *maker) answer() frame {
	return frame{before: m.single.before, after: m.ended(nil)}
}

// within frames ids in at most so many tokens, or says what becomes of them.
func (m *maker) within(x Example, ids []int32, f frame, most int, key string) ([]int32, fateOf, error) {
	fate := kept
	if n := len(ids) + f.len(); n > most {
		var err error
		if fate, err = m.excess(x, n, most, key); fate == tooLong {
			return nil, fate, err
		}
		ids = ids[:max(0, most-f.len())]
	}
	tokens, _ := f.put(ids, nil)
	return tokens, fate, nil
}
