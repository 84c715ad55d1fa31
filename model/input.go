package model

import (
	"fmt"

	"carillon/model/nn"
)

func (m *Model) checkShape(rows, length int) error {
	if rows < 1 || length < 1 {
		return fmt.Errorf("a batch of %d x %d tokens has none", rows, length)
	}
	if length > m.config.Context {
		return fmt.Errorf("rows of %d tokens are longer than the model's context of %d", length, m.config.Context)
	}
	return nil
}

// checkInput refuses what an engine would clamp or crash on.
func (m *Model) checkInput(in Input) error {
	if err := m.checkShape(in.Rows, in.Len); err != nil {
		return err
	}
	n := in.Rows * in.Len
	if len(in.Tokens) != n || len(in.Mask) != n || in.Labels != nil && len(in.Labels) != n {
		return fmt.Errorf("a batch of %d x %d has %d tokens, %d mask entries and %d labels", in.Rows, in.Len, len(in.Tokens), len(in.Mask), len(in.Labels))
	}
	for i, token := range in.Tokens {
		if token < 0 || int(token) >= m.config.Vocab {
			return fmt.Errorf("token %d in row %d is not in the vocabulary of %d", token, i/in.Len, m.config.Vocab)
		}
	}
	for i, label := range in.Labels {
		if label != nn.Ignored && (label < 0 || int(label) >= m.config.Vocab) {
			return fmt.Errorf("label %d in row %d is neither %d nor in the vocabulary of %d", label, i/in.Len, nn.Ignored, m.config.Vocab)
		}
	}
	return nil
}

// batch returns a program's first input: tokens, labels, mask and positions, one
// after the other. A token's position is the number of tokens before it, as
// Hugging Face counts from the mask; padding has the position of what precedes it.
func (m *Model) batch(in Input) []int32 {
	n := in.Rows * in.Len
	all := make([]int32, 4*n)
	copy(all, in.Tokens)
	copy(all[2*n:], in.Mask)
	labels, positions := all[n:2*n], all[3*n:]
	if copy(labels, in.Labels) == 0 {
		for i := range labels {
			labels[i] = nn.Ignored
		}
	}
	for r := range in.Rows {
		seen := int32(0)
		for t := r * in.Len; t < (r+1)*in.Len; t++ {
			if in.Mask[t] != 0 {
				seen++
			}
			positions[t] = max(seen-1, 0)
		}
	}
	return all
}
