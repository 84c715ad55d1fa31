package shard

import (
	"fmt"
	"math"
)

// Task is what a model learns from the examples: it decides what their labels
// are. Its numbers stand in the file and never change.
type Task uint32

// The tasks.
const (
	CausalLM   Task = 0 // the next token
	SeqCls     Task = 1 // a class of the whole text
	Regression Task = 2 // a number of the whole text
	Seq2SeqLM  Task = 3 // another text
	MaskedLM   Task = 4 // tokens that are hidden from it
)

var taskNames = [...]string{"causal_lm", "seq_cls", "regression", "seq2seq_lm", "masked_lm"}

// ParseTask returns the task that a recipe's task_type names.
func ParseTask(name string) (Task, error) {
	for t, n := range taskNames {
		if n == name {
			return Task(t), nil
		}
	}
	return 0, fmt.Errorf("task_type: %q; want one of %q", name, taskNames)
}

// String returns the recipe's word for the task.
func (t Task) String() string {
	if int64(t) < int64(len(taskNames)) {
		return taskNames[t]
	}
	return fmt.Sprintf("task %d", uint32(t))
}

// Info is what all examples of a set have in common.
type Info struct {
	Task    Task
	Vocab   int // ids are in [0, Vocab)
	Classes int // SeqCls: labels are in [0, Classes); else 0
	// Blank is the id that token dropout writes over a token, and MaskedLM over one
	// that it hides. -1: none.
	Blank int32
	// DecoderStart is the id that a decoder's input begins with. Seq2SeqLM only,
	// else 0.
	DecoderStart int32
}

func (in Info) check() error {
	switch {
	case int64(in.Task) >= int64(len(taskNames)):
		return fmt.Errorf("%v, want 0 to %d", in.Task, len(taskNames)-1)
	case in.Vocab < 1 || in.Vocab > math.MaxInt32:
		return fmt.Errorf("vocabulary of %d, want 1 to %d", in.Vocab, math.MaxInt32)
	case in.Task == SeqCls && (in.Classes < 1 || in.Classes > math.MaxInt32):
		return fmt.Errorf("%d classes, want 1 to %d", in.Classes, math.MaxInt32)
	case in.Task != SeqCls && in.Classes != 0:
		return fmt.Errorf("%d classes for %v, which has none", in.Classes, in.Task)
	case in.Blank != -1 && !in.has(in.Blank):
		return fmt.Errorf("blank %d, want -1 or an id of the vocabulary of %d", in.Blank, in.Vocab)
	case in.Task == MaskedLM && in.Blank == -1:
		return fmt.Errorf("blank -1 for %v, want the id that hides a token", in.Task)
	case in.Task == Seq2SeqLM && !in.has(in.DecoderStart):
		return fmt.Errorf("decoder start %d, outside the vocabulary of %d", in.DecoderStart, in.Vocab)
	case in.Task != Seq2SeqLM && in.DecoderStart != 0:
		return fmt.Errorf("decoder start %d for %v, which has no decoder of its own: want 0", in.DecoderStart, in.Task)
	}
	return nil
}

// has says whether id is one of the vocabulary.
func (in Info) has(id int32) bool { return uint32(id) < uint32(in.Vocab) }
