package model

// draft is a batch of texts as the model reads them: the prompts and what is added
// to them, or with a decoder what answers them.
type draft struct {
	s    *Session
	in   Input
	last []int32 // place of each row's last token
}

// newDraft lays prompts out in a batch of so many rows, of which each prompt has as
// many as it has beams; rows beyond them wait.
func (s *Session) newDraft(prompts [][]int32, rows, longest int, w Writing) *draft {
	length := s.roundUp(longest + w.MaxNew)
	d := &draft{s: s, last: make([]int32, rows)}
	if s.task.decodes {
		length = s.roundUp(longest)
		d.in.TargetLen = s.roundUp(w.MaxNew)
		d.in.DecoderTokens = make([]int32, rows*d.in.TargetLen)
	}
	d.in.Rows, d.in.Len = rows, length
	d.in.Tokens, d.in.Mask = make([]int32, rows*length), make([]int32, rows*length)
	for r := range len(prompts) * w.beams() {
		d.lay(r, prompts[r/w.beams()])
	}
	return d
}

// lay lays a prompt out in a row.
func (d *draft) lay(r int, prompt []int32) {
	at := r * d.in.Len
	copy(d.in.Tokens[at:], prompt)
	for t := range prompt {
		d.in.Mask[at+t] = 1
	}
	d.last[r] = int32(len(prompt) - 1)
	if d.s.task.decodes {
		d.in.DecoderTokens[r*d.in.TargetLen], d.last[r] = d.s.start(), 0
	}
}

// write lets each author add to the rows that are its own until all are done.
func (d *draft) write(authors []author, beams int) ([][]int32, error) {
	tokens, from := make([]int32, d.in.Rows), make([]int32, d.in.Rows)
	for {
		logits, err := d.s.NextLogits(d.in, d.last)
		if err != nil {
			return nil, err
		}
		own, left := beams*len(logits)/d.in.Rows, false
		for i, a := range authors {
			if a.done() {
				continue
			}
			t, f := a.add(logits[i*own : (i+1)*own])
			for k := range t {
				tokens[i*beams+k], from[i*beams+k] = t[k], int32(i*beams)+f[k]
			}
			left = left || !a.done()
		}
		if !left {
			return textsOf(authors), nil
		}
		d.add(tokens, from)
	}
}

func textsOf(authors []author) [][]int32 {
	texts := make([][]int32, len(authors))
	for i, a := range authors {
		texts[i] = a.text()
	}
	return texts
}

// add makes each row what another was, and puts a token to it.
func (d *draft) add(tokens, from []int32) {
	if d.s.task.decodes {
		d.in.DecoderTokens = pick(d.in.DecoderTokens, from, d.in.TargetLen)
	} else {
		d.in.Tokens, d.in.Mask = pick(d.in.Tokens, from, d.in.Len), pick(d.in.Mask, from, d.in.Len)
	}
	for r, token := range tokens {
		d.last[r]++
		if d.s.task.decodes {
			d.in.DecoderTokens[r*d.in.TargetLen+int(d.last[r])] = token
			continue
		}
		at := r*d.in.Len + int(d.last[r])
		d.in.Tokens[at], d.in.Mask[at] = token, 1
	}
}

// pick returns rows of x in another order.
func pick(x, from []int32, length int) []int32 {
	all := make([]int32, len(x))
	for r, f := range from {
		copy(all[r*length:(r+1)*length], x[int(f)*length:])
	}
	return all
}
