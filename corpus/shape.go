package corpus

import (
	"errors"

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
	Group     string // what must not be cut by a split, such as a package; "": examples like this one
	From      string // file and line, for errors
	HeldOut   bool
}

// Message is one turn of a conversation.
type Message struct {
	Role    string // system, user, assistant or tool
	Content string
}

// shape says in which fields of a row the parts of an example are.
type shape struct {
	kind    string            // the canonical type
	fields  map[string]string // the recipe's key for a part -> the field; parts that no row has are absent
	guessed bool              // the type comes from the rows, not from the recipe
}

// newShape returns the shape of a data set's rows: that of its type, or, where
// the recipe gives none, the only one that fits the first rows.
func newShape(d job.Dataset, first []row) (shape, error) {
	if len(first) == 0 {
		return shape{}, errors.New("no records to tell the type by")
	}
	named := fieldsNamed(d)
	if err := checkNamed(named, first); err != nil {
		return shape{}, err
	}
	if d.Type == "" {
		return guessShape(named, first)
	}
	f, err := formNamed(d.Type)
	if err != nil {
		return shape{}, err
	}
	return f.fit(named, first)
}

// example takes an example out of a row. Its errors are *badRow: they spoil this
// row alone.
func (s shape) example(r row) (Example, error) {
	x := Example{Kind: s.kind, From: r.from, Continued: r.continued}
	t := taker{shape: s, row: r}
	switch s.kind {
	case TypeText:
		x.Text = t.text(keyText)
	case TypePairs:
		x.Prompt, x.Completion = t.maybe(keyPrompt), t.text(keyCompletion)
	case TypeAlpaca:
		x.Prompt, x.Completion = t.alpaca(), t.text(keyOutput)
	case TypeShareGPT, TypeMessages:
		x.Messages = t.conversation()
	case TypeClassification:
		x.Text, x.Text2, x.Label = t.text(keyText), t.second(), t.class()
	case TypeRegression:
		x.Text, x.Text2, x.Value = t.text(keyText), t.second(), t.number()
	case TypeSeq2Seq:
		x.Prompt, x.Completion = t.text(keySource), t.text(keyTarget)
	}
	if t.err != nil {
		return Example{}, &badRow{r.from, t.err}
	}
	return x, nil
}

// second is the second text of a pair, empty where texts come alone.
func (t *taker) second() string {
	if t.fields[keyText2] == "" {
		return ""
	}
	return t.text(keyText2)
}
