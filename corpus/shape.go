package corpus

import (
	"fmt"

	"carillon/job"
)

// The types of data sets: the canonical names.
const (
	TypeText           = "text"              // text, learnt whole; also called completion
	TypePairs          = "prompt_completion" // learnt from the completion on
	TypeAlpaca         = "alpaca"            // instruction, input, output: made a prompt and a completion
	TypeShareGPT       = "sharegpt"          // conversations of from and value
	TypeMessages       = "messages"          // messages of role and content; also called chat_template
	TypeClassification = "classification"    // a text, or two, and the name of a class
	TypeRegression     = "regression"        // a text, or two, and a number
	TypeSeq2Seq        = "seq2seq"           // source and target
)

// Example is one example as text. Kind says which of the fields count.
type Example struct {
	Kind               string // the canonical type
	Text, Text2        string // text; classification and regression, Text2 where texts come in pairs
	Prompt, Completion string // prompt_completion, alpaca (as its prompt is written), seq2seq (source and target)
	Messages           []Message
	Label              string  // classification: the class as written, numbers in their shortest form
	Value              float64 // regression

	Continued bool   // the next Text goes on where this one stops: no end of text between
	Group     string // what must not be cut by a split: a package, a record
	From      string // file and line, for errors
	HeldOut   bool
}

// Message is one turn of a conversation.
type Message struct {
	Role    string // system, user, assistant or tool
	Content string
}

// shape says where in a row the parts of an example are.
type shape struct {
	kind string // the canonical type
}

// newShape returns the shape of a data set's rows: that of its type, or, where
// the recipe gives none, the one that the first rows have.
func newShape(d job.Dataset, first []row) (shape, error) {
	return shape{kind: d.Type}, fmt.Errorf("type %q: not known", d.Type)
}

// example takes an example out of a row. Its errors are *badRow: they spoil this
// row alone.
func (s shape) example(r row) (Example, error) {
	return Example{}, &badRow{r.from, fmt.Errorf("type %q: not known", s.kind)}
}
