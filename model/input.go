package model

import (
	"errors"
	"fmt"
	"math"

	"carillon/job"
	"carillon/model/nn"
)

// checkShape refuses what no program can be for.
func (s *Session) checkShape(key programKey) error {
	if err := s.model.checkShape(key.rows, key.len); err != nil {
		return err
	}
	if n := s.Context(); key.len > n {
		whole := s.model.config.Context
		return fmt.Errorf("rows of %d tokens and the %d virtual ones before them are longer than the model's context of %d", key.len, whole-n, whole)
	}
	if !s.task.decodes {
		return nil
	}
	if err := s.model.checkShape(key.rows, key.target); err != nil {
		return fmt.Errorf("decoder: %w", err)
	}
	return nil
}

// Context returns the length of the longest row that the session takes: the
// model's, less what its method puts before the tokens.
func (s *Session) Context() int { return s.model.config.Context - s.task.lead(s.method) }

// lead is how many positions a method takes. A model with a decoder of its own counts
// none.
func (t task) lead(method nn.Method) int {
	if m, ok := method.(nn.Lengthens); ok && !t.decodes {
		return m.Lead()
	}
	return 0
}

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
func (s *Session) checkInput(in Input) error {
	if err := s.checkShape(s.key(gradients, in)); err != nil {
		return err
	}
	n, vocab := in.Rows*in.Len, s.model.config.Vocab
	if len(in.Tokens) != n || len(in.Mask) != n || in.Labels != nil && len(in.Labels) != n {
		return fmt.Errorf("a batch of %d x %d has %d tokens, %d mask entries and %d labels", in.Rows, in.Len, len(in.Tokens), len(in.Mask), len(in.Labels))
	}
	if err := checkIDs(in.Tokens, in.Len, vocab); err != nil {
		return err
	}
	switch {
	case s.task.outputs > 0:
		return s.task.checkTargets(in)
	case s.task.decodes:
		return checkDecoder(in, vocab)
	}
	return errors.Join(checkLabels(in.Labels, in.Len, vocab), s.task.checkParts(in))
}

// checkIDs refuses tokens that no embedding is of; rows are of so many.
func checkIDs(tokens []int32, length, vocab int) error {
	for i, token := range tokens {
		if token < 0 || int(token) >= vocab {
			return fmt.Errorf("token %d in row %d is not in the vocabulary of %d", token, i/length, vocab)
		}
	}
	return nil
}

func checkLabels(labels []int32, length, vocab int) error {
	for i, label := range labels {
		if label != nn.Ignored && (label < 0 || int(label) >= vocab) {
			return fmt.Errorf("label %d in row %d is neither %d nor in the vocabulary of %d", label, i/length, nn.Ignored, vocab)
		}
	}
	return nil
}

// checkDecoder checks what a decoder reads and shall say.
func checkDecoder(in Input, vocab int) error {
	n := in.Rows * in.TargetLen
	if len(in.DecoderTokens) != n || in.Targets != nil && len(in.Targets) != n {
		return fmt.Errorf("a batch of %d x %d targets has %d decoder tokens and %d targets", in.Rows, in.TargetLen, len(in.DecoderTokens), len(in.Targets))
	}
	return errors.Join(checkIDs(in.DecoderTokens, in.TargetLen, vocab), checkLabels(in.Targets, in.TargetLen, vocab))
}

// checkTargets refuses targets that a loss could not be computed of.
func (t task) checkTargets(in Input) error {
	if in.Targets != nil && len(in.Targets) != in.Rows {
		return fmt.Errorf("a batch of %d rows has %d targets", in.Rows, len(in.Targets))
	}
	for r, target := range in.Targets {
		switch value := math.Float32frombits(uint32(target)); {
		case target == nn.Ignored:
		case t.name == job.Regression && value-value != 0:
			return fmt.Errorf("the target of row %d is %v; want a finite number", r, value)
		case t.name == job.SeqCls && (target < 0 || int(target) >= t.outputs):
			return fmt.Errorf("the target of row %d is class %d; there are %d classes", r, target, t.outputs)
		}
	}
	return nil
}

// checkParts refuses parts of a packed row that are not in order: each stands in
// one piece.
func (t task) checkParts(in Input) error {
	if !t.packed {
		return nil
	}
	for r := range in.Rows {
		last := int32(0)
		for _, part := range in.Mask[r*in.Len:][:in.Len] {
			if part != 0 && part < last || part < 0 {
				return fmt.Errorf("part %d comes after part %d in row %d", part, last, r)
			}
			last = max(last, part)
		}
	}
	return nil
}

// batch returns a program's first input: tokens, labels, mask and positions, one
// after the other. Of a classifier's labels the first of each row is its target.
func (t task) batch(in Input) []int32 {
	n := in.Rows * in.Len
	all := make([]int32, 4*n)
	copy(all, in.Tokens)
	labels, mask, positions := all[n:2*n], all[2*n:3*n], all[3*n:]
	t.ask(labels, in)
	for from := 0; from < n; from += in.Len {
		to := from + in.Len
		t.place(in.Mask[from:to], labels[from:to], mask[from:to], positions[from:to])
	}
	return all
}

// decoder returns a program's second input: what a decoder reads, and shall say.
func (t task) decoder(in Input) []int32 {
	n := in.Rows * in.TargetLen
	all := make([]int32, 2*n)
	copy(all, in.DecoderTokens)
	if copy(all[n:], in.Targets) == 0 {
		ignore(all[n:])
	}
	return all
}

// ask fills in what is asked of each token, or of each row.
func (t task) ask(labels []int32, in Input) {
	if t.outputs == 0 && copy(labels, in.Labels) > 0 {
		return
	}
	ignore(labels)
	for r := range in.Targets {
		if t.outputs > 0 {
			labels[r*in.Len] = in.Targets[r]
		}
	}
}

// ignore makes labels ask for nothing.
func ignore(labels []int32) {
	for i := range labels {
		labels[i] = nn.Ignored
	}
}

// place gives the tokens of a row their positions. A token's position is the
// number of tokens before it, as Hugging Face counts from the mask, in a packed
// row those of its part; padding has the position of what precedes it. The first
// token of a part follows nothing that could tell it, and is not asked for.
func (t task) place(parts, labels, mask, positions []int32) {
	seen := int32(0)
	for i, part := range parts {
		if t.packed && i > 0 && part != parts[i-1] {
			seen, labels[i] = 0, nn.Ignored
		}
		if part != 0 {
			seen++
			mask[i] = 1
		}
		if t.packed || t.parts {
			mask[i] = part
		}
		positions[i] = max(seen-1, 0)
	}
}
