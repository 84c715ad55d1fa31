package corpus

import (
	"fmt"
	"slices"
	"strings"
)

// The recipe's keys for the fields that hold the parts of an example.
const (
	keyText        = "field_text"
	keyText2       = "field_text2"
	keyPrompt      = "field_prompt"
	keyCompletion  = "field_completion"
	keyInstruction = "field_instruction"
	keyInput       = "field_input"
	keyOutput      = "field_output"
	keySystem      = "field_system"
	keyMessages    = "field_messages"
	keyRole        = "message_field_role"
	keyContent     = "message_field_content"
	keyLabel       = "field_label"
	keySource      = "field_source"
	keyTarget      = "field_target"
)

// form is what the rows of one type hold.
type form struct {
	kind, alias string
	parts       []part
}

// part is one thing that a form takes out of a row.
type part struct {
	key      string   // in the recipe
	names    []string // of fields that hold it where the recipe says nothing, the first found counts
	optional bool
}

var forms = []form{
	{TypeText, "completion", []part{{keyText, []string{"text", "content"}, false}}},
	{TypePairs, "", []part{
		{keyPrompt, []string{"prompt"}, false},
		{keyCompletion, []string{"completion", "response"}, false},
	}},
	{TypeAlpaca, "", []part{
		{keyInstruction, []string{"instruction"}, false},
		{keyInput, []string{"input", "context"}, true},
		{keyOutput, []string{"output", "response"}, false},
		{keySystem, []string{"system"}, true},
	}},
	{TypeShareGPT, "", []part{
		{keyMessages, []string{"conversations", "messages"}, false},
		{keyRole, []string{"from"}, false},
		{keyContent, []string{"value"}, false},
		{keySystem, []string{"system"}, true},
	}},
	{TypeMessages, "chat_template", []part{
		{keyMessages, []string{"messages", "conversations"}, false},
		{keyRole, []string{"role"}, false},
		{keyContent, []string{"content"}, false},
		{keySystem, []string{"system"}, true},
	}},
	{TypeClassification, "", []part{
		{keyText, []string{"text", "sentence", "content", "review"}, false},
		{keyText2, nil, true},
		{keyLabel, []string{"label", "labels", "target", "class", "category"}, false},
	}},
	{TypeRegression, "", []part{
		{keyText, []string{"text", "sentence", "content", "review"}, false},
		{keyText2, nil, true},
		{keyLabel, []string{"label", "labels", "score", "target", "value"}, false},
	}},
	{TypeSeq2Seq, "", []part{
		{keySource, []string{"source", "document", "article"}, false},
		{keyTarget, []string{"target", "summary", "highlights"}, false},
	}},
}

// pairs are the names that two texts go by together; they go before single ones.
var pairs = [][2]string{
	{"text", "text2"}, {"text1", "text2"}, {"sentence1", "sentence2"}, {"premise", "hypothesis"},
	{"question", "sentence"}, {"question1", "question2"}, {"text_a", "text_b"},
}

// foreign are types of other programs that are not read, and what they are.
var foreign = map[string]string{
	"input_output": "segments, each with a mask of its own",
	"segments":     "segments, each with a mask of its own",
	"pretokenized": "token ids in place of text",
	"input_ids":    "token ids in place of text",
	"pygmalion":    "conversations in a form of their own",
	"metharme":     "conversations in a form of their own",
	"chosen":       "preferences between two answers",
	"dpo":          "preferences between two answers",
	"orpo":         "preferences between two answers",
	"kto":          "preferences between two answers",
	"ner_tags":     "a label for each word",
	"tags":         "a label for each word",
	"token_cls":    "a label for each word",
}

// formNamed returns the form of a type as a recipe names it.
func formNamed(name string) (form, error) {
	for _, f := range forms {
		if name == f.kind || name == f.alias {
			return f, nil
		}
	}
	if what, ok := foreign[name]; ok {
		return form{}, fmt.Errorf("type %q is not read (%s): want one of %s", name, what, kinds())
	}
	return form{}, fmt.Errorf("type %q is not known: want one of %s", name, kinds())
}

// kinds lists the types, aliases in brackets.
func kinds() string {
	var names []string
	for _, f := range forms {
		name := f.kind
		if f.alias != "" {
			name += " (" + f.alias + ")"
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// uses says whether the form has a part of that key.
func (f form) uses(key string) bool {
	return slices.ContainsFunc(f.parts, func(p part) bool { return p.key == key })
}

// fit finds the form's parts among the fields of the first rows.
func (f form) fit(named []naming, first []row) (shape, error) {
	s := shape{kind: f.kind, fields: map[string]string{}}
	for _, n := range named {
		if !f.uses(n.key) {
			return s, fmt.Errorf("%s: type %s has no use for it; it takes %s", n.key, f.kind, f.keys())
		}
		s.fields[n.key] = n.field
	}
	f.fitPair(s, first)
	for _, p := range f.parts {
		if s.fields[p.key] != "" {
			continue
		}
		there := fieldsFor(p.key, s, first)
		i := slices.IndexFunc(p.names, func(name string) bool { return there[name] })
		switch {
		case i >= 0:
			s.fields[p.key] = p.names[i]
		case !p.optional:
			return s, fmt.Errorf("no field %q, which type %s wants; there are %s (%s names another)", p.names[0], f.kind, list(there, p.names[0]), p.key)
		}
	}
	return s, nil
}

// fitPair finds two texts that are named as a pair, unless the recipe names one.
func (f form) fitPair(s shape, first []row) {
	if !f.uses(keyText2) || s.fields[keyText] != "" || s.fields[keyText2] != "" {
		return
	}
	there := fieldsOf(first)
	for _, p := range pairs {
		if there[p[0]] && there[p[1]] {
			s.fields[keyText], s.fields[keyText2] = p[0], p[1]
			return
		}
	}
}

// keys lists the recipe's keys that the form uses.
func (f form) keys() string {
	var keys []string
	for _, p := range f.parts {
		keys = append(keys, p.key)
	}
	return strings.Join(keys, ", ")
}
