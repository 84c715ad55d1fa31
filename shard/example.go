package shard

import (
	"fmt"
	"math"
)

// Ignore is the label of a token that is not learnt: prompts and padding. It is
// Hugging Face's number for the same.
const Ignore = -100

// Example is one tokenized example.
type Example struct {
	Tokens []int32 // ids, each in [0, Vocab); at least one
	// Labels are what the model should say. CausalLM: one for each token,
	// unshifted as in Hugging Face, Ignore where nothing is learnt; nil means the
	// tokens themselves (plain text). SeqCls: one, the class. Regression: one,
	// the value's math.Float32bits. Seq2SeqLM: the ids of the target, Ignore where
	// nothing is learnt. MaskedLM: the tokens themselves, Ignore where none is ever
	// hidden.
	Labels []int32
	// Starts are where further parts begin in Tokens, ascending, without 0: the
	// examples of a pack (CausalLM), or the second text of a pair (SeqCls,
	// Regression). nil: one part.
	Starts  []int32
	HeldOut bool // not trained on; the loss on it is the held-out loss
}

// check says what of an example breaks the law of the set's task. Build and Open
// ask the same.
func (x *Example) check(info Info) error {
	if len(x.Tokens) == 0 {
		return fmt.Errorf("it has no tokens")
	}
	for i, t := range x.Tokens {
		if !info.has(t) {
			return fmt.Errorf("token %d is %d, outside the vocabulary of %d", i, t, info.Vocab)
		}
	}
	if err := x.checkStarts(info.Task); err != nil {
		return err
	}
	switch info.Task {
	case CausalLM:
		return x.checkCausal(info)
	case Seq2SeqLM:
		return x.checkTarget(info)
	case MaskedLM:
		return x.checkMasked()
	}
	return x.checkAnswer(info)
}

func (x *Example) checkStarts(task Task) error {
	if len(x.Starts) > 0 && (task == Seq2SeqLM || task == MaskedLM) {
		return fmt.Errorf("%d parts; an example of %v has one", len(x.Starts)+1, task)
	}
	before := int32(0)
	for i, at := range x.Starts {
		if at <= before || int(at) >= len(x.Tokens) {
			return fmt.Errorf("part %d begins at token %d, want %d to %d", i+2, at, before+1, len(x.Tokens)-1)
		}
		before = at
	}
	return nil
}

func (x *Example) checkCausal(info Info) error {
	if x.Labels != nil && len(x.Labels) != len(x.Tokens) {
		return fmt.Errorf("%d labels for %d tokens", len(x.Labels), len(x.Tokens))
	}
	if err := checkIDs(x.Labels, "label", info); err != nil {
		return err
	}
	return x.checkPack()
}

// checkPack makes sure that no part of a pack is asked for its first token,
// which would be predicted from the part before.
func (x *Example) checkPack() error {
	if len(x.Starts) == 0 {
		return nil
	}
	if x.Labels == nil {
		return fmt.Errorf("%d parts without labels: the first token of each must have the label %d", len(x.Starts)+1, Ignore)
	}
	if x.Labels[0] != Ignore {
		return fmt.Errorf("label 0 is %d where part 1 begins, want %d", x.Labels[0], Ignore)
	}
	for i, at := range x.Starts {
		if x.Labels[at] != Ignore {
			return fmt.Errorf("label %d is %d where part %d begins, want %d", at, x.Labels[at], i+2, Ignore)
		}
	}
	return nil
}

func (x *Example) checkTarget(info Info) error {
	if len(x.Labels) == 0 {
		return fmt.Errorf("it has no target")
	}
	return checkIDs(x.Labels, "target's token", info)
}

// checkAnswer is for tasks with one label for the whole text.
func (x *Example) checkAnswer(info Info) error {
	if len(x.Labels) != 1 {
		return fmt.Errorf("%d labels, want one", len(x.Labels))
	}
	label := x.Labels[0]
	value := math.Float32frombits(uint32(label))
	switch {
	case info.Task == SeqCls && uint32(label) >= uint32(info.Classes):
		return fmt.Errorf("class %d, want 0 to %d", label, info.Classes-1)
	case info.Task == Regression && value-value != 0: // infinite, or not a number
		return fmt.Errorf("value %v, want a finite number", value)
	}
	return nil
}

func checkIDs(ids []int32, what string, info Info) error {
	for i, id := range ids {
		if id != Ignore && !info.has(id) {
			return fmt.Errorf("%s %d is %d, want %d or an id of the vocabulary of %d", what, i, id, Ignore, info.Vocab)
		}
	}
	return nil
}
