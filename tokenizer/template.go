package tokenizer

import (
	"encoding/json"
	"fmt"
)

// template says which special tokens stand around one text, and around two.
type template struct {
	single, pair []slot
}

// slot is a place in a template: the first or second text, or special tokens.
type slot struct {
	text int32 // 0, 1, or special
	ids  []int32
	kind int32 // the token type id of what stands there
}

// tokens is slot.text of special tokens.
const specialIDs int32 = -1

// plainTemplate adds no special token.
var plainTemplate = template{
	single: []slot{{text: 0}},
	pair:   []slot{{text: 0}, {text: 1, kind: 1}},
}

// newTemplate makes what a file's "post_processor" says. One part of it may add
// tokens; ByteLevel is about offsets.
func newTemplate(p *part) (template, error) {
	parts, err := p.flat("processors")
	if err != nil {
		return template{}, err
	}
	all, adding := plainTemplate, ""
	for _, p := range parts {
		t, err := newProcessor(p)
		if err != nil {
			return template{}, err
		}
		if p.Type == byteLevel {
			continue
		}
		if adding != "" {
			return template{}, p.refuse("one that adds tokens, and there is " + adding + " before it")
		}
		all, adding = t, p.Type
	}
	return all, nil
}

func newProcessor(p *part) (template, error) {
	switch p.Type {
	case byteLevel:
		return plainTemplate, p.read(&byteLevelOptions{})
	case "TemplateProcessing":
		return newTemplateProcessing(p)
	case "BertProcessing":
		return newBertProcessing(p)
	case "RobertaProcessing":
		return newRobertaProcessing(p)
	}
	return template{}, p.refuse("TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel or a Sequence of them")
}

// templateSlot is a slot in the file.
type templateSlot struct {
	Sequence     *templatePlace
	SpecialToken *templatePlace
}

type templatePlace struct {
	ID     string `json:"id"`
	TypeID int32  `json:"type_id"`
}

// templateTokens are the ids that a template's special token stands for.
type templateTokens map[string]struct {
	ID     string          `json:"id"`
	IDs    []int32         `json:"ids"`
	Tokens json.RawMessage `json:"tokens"`
}

func newTemplateProcessing(p *part) (template, error) {
	var o struct {
		Single  []templateSlot `json:"single"`
		Pair    []templateSlot `json:"pair"`
		Special templateTokens `json:"special_tokens"`
	}
	if err := p.read(&o); err != nil {
		return template{}, err
	}
	single, err := o.Special.slots(o.Single, 1)
	if err != nil {
		return template{}, p.wrong(fmt.Errorf("option \"single\": %w", err))
	}
	pair, err := o.Special.slots(o.Pair, 2)
	if err != nil {
		return template{}, p.wrong(fmt.Errorf("option \"pair\": %w", err))
	}
	return template{single, pair}, nil
}

// slots reads a template in which each of so many texts stands once.
func (t templateTokens) slots(list []templateSlot, texts int) ([]slot, error) {
	var slots []slot
	seen := [2]int{}
	for i, s := range list {
		switch {
		case s.Sequence != nil && (s.Sequence.ID == "A" || s.Sequence.ID == "B"):
			n := int32(s.Sequence.ID[0] - 'A')
			seen[n]++
			slots = append(slots, slot{text: n, kind: s.Sequence.TypeID})
		case s.SpecialToken != nil:
			tokens, ok := t[s.SpecialToken.ID]
			if !ok {
				return nil, fmt.Errorf("special token %q is not in \"special_tokens\"", s.SpecialToken.ID)
			}
			slots = append(slots, slot{text: specialIDs, ids: tokens.IDs, kind: s.SpecialToken.TypeID})
		default:
			return nil, fmt.Errorf("place %d: want a \"Sequence\" A or B, or a \"SpecialToken\"", i)
		}
	}
	if seen != [2]int{1, texts - 1} {
		return nil, fmt.Errorf("it has text A %d times and text B %d times: want %d and %d", seen[0], seen[1], 1, texts-1)
	}
	return slots, nil
}

// tokenID is a token and its id, written ["[SEP]", 102].
type tokenID struct {
	name string
	id   int32
}

func (t *tokenID) UnmarshalJSON(data []byte) error {
	list := []any{&t.name, &t.id}
	if err := json.Unmarshal(data, &list); err != nil || len(list) != 2 {
		return fmt.Errorf("%.80s: want [\"token\", id]", data)
	}
	return nil
}

// newBertProcessing is [CLS] A [SEP] and [CLS] A [SEP] B [SEP].
func newBertProcessing(p *part) (template, error) {
	var o struct {
		Sep tokenID `json:"sep"`
		Cls tokenID `json:"cls"`
	}
	if err := p.read(&o); err != nil {
		return template{}, err
	}
	sep, single := specialSlot(o.Sep.id, 0), surround(o.Cls.id, o.Sep.id)
	sep.kind = 1
	return template{single, append(single[:3:3], slot{text: 1, kind: 1}, sep)}, nil
}

// newRobertaProcessing is <s> A </s> and <s> A </s> </s> B </s>, all of type 0.
func newRobertaProcessing(p *part) (template, error) {
	var o struct {
		Sep            tokenID `json:"sep"`
		Cls            tokenID `json:"cls"`
		TrimOffsets    bool    `json:"trim_offsets"`
		AddPrefixSpace bool    `json:"add_prefix_space"`
	}
	if err := p.read(&o); err != nil {
		return template{}, err
	}
	sep, single := specialSlot(o.Sep.id, 0), surround(o.Cls.id, o.Sep.id)
	return template{single, append(single[:3:3], sep, slot{text: 1}, sep)}, nil
}

func specialSlot(id, kind int32) slot { return slot{text: specialIDs, ids: []int32{id}, kind: kind} }

// surround is the first text between two tokens.
func surround(before, after int32) []slot {
	return []slot{specialSlot(before, 0), {text: 0}, specialSlot(after, 0)}
}

// check returns an error that names an id outside a vocabulary.
func (t template) check(vocab int) error {
	for _, s := range append(t.single[:len(t.single):len(t.single)], t.pair...) {
		for _, id := range s.ids {
			if id < 0 || int(id) >= vocab {
				return fmt.Errorf("post_processor: id %d of a special token: want one of the vocabulary, 0 to %d", id, vocab-1)
			}
		}
	}
	return nil
}
