package shard

import "fmt"

// Task is what a model learns from the examples: it decides what their labels
// are. Its numbers stand in the file and never change.
type Task uint32

// The tasks.
const (
	CausalLM   Task = 0 // the next token
	SeqCls     Task = 1 // a class of the whole text
	Regression Task = 2 // a number of the whole text
	Seq2SeqLM  Task = 3 // another text
)

var taskNames = [...]string{"causal_lm", "seq_cls", "regression", "seq2seq_lm"}

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
	if int(t) < len(taskNames) {
		return taskNames[t]
	}
	return fmt.Sprintf("task %d", uint32(t))
}

// Info is what all examples of a set have in common.
type Info struct {
	Task    Task
	Vocab   int // ids are in [0, Vocab)
	Classes int // SeqCls: labels are in [0, Classes); else 0
	// Blank is the id that token dropout writes over a token. -1: none.
	Blank int32
	// DecoderStart is the id that a decoder's input begins with. Seq2SeqLM only,
	// else 0.
	DecoderStart int32
}
