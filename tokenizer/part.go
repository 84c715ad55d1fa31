package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// part is a step before or after the model: a kind and its options.
type part struct {
	what    string // "normalizer", "pre_tokenizer", "post_processor" or "decoder"
	Type    string
	options json.RawMessage // the whole object
}

func (p *part) UnmarshalJSON(data []byte) error {
	var kind struct {
		Type *string `json:"type"`
	}
	if err := json.Unmarshal(data, &kind); err != nil || kind.Type == nil {
		return fmt.Errorf("%.80s: want an object with a \"type\"", data)
	}
	p.Type, p.options = *kind.Type, bytes.Clone(data)
	return nil
}

// as says what a part is; nil stays nil.
func (p *part) as(what string) *part {
	if p != nil {
		p.what = what
	}
	return p
}

// newPart makes a part of its JSON.
func newPart(what, text string) (*part, error) {
	p := &part{what: what}
	return p, json.Unmarshal([]byte(text), p)
}

// byteLevel is the kind that turns bytes into GPT-2's alphabet and back.
const byteLevel = "ByteLevel"

// read reads the options into the struct that into points to. An option that
// it has no field for is an error that names it.
func (p *part) read(into any) error {
	var options map[string]json.RawMessage
	if err := json.Unmarshal(p.options, &options); err != nil {
		return err
	}
	delete(options, "type")
	data, err := json.Marshal(options)
	if err != nil {
		return err
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return p.wrong(optionError(err))
	}
	return nil
}

// optionError says what is wrong with an option, in this package's words.
func optionError(err error) error {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return fmt.Errorf("option %q is a JSON %s, want %s", kind.Field, kind.Value, inWords(kind.Type))
	}
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fmt.Errorf("option %s is not supported", name)
	}
	return err
}

// set gives an option another value.
func (p *part) set(option string, value any) {
	var options map[string]any
	json.Unmarshal(p.options, &options) // an object: see UnmarshalJSON
	options[option] = value
	p.options, _ = json.Marshal(options)
}

// wrong says which part an error is about.
func (p *part) wrong(err error) error { return fmt.Errorf("%s %q: %w", p.what, p.Type, err) }

// refuse says that the kind is not supported, and which are.
func (p *part) refuse(want string) error { return refuse(p.what, p.Type, want) }

// flat returns the parts of which one is made: itself, or those of a Sequence,
// which are in a field, and of the Sequences in it.
func (p *part) flat(field string) ([]*part, error) {
	if p == nil {
		return nil, nil
	}
	if p.Type != "Sequence" {
		return []*part{p}, nil
	}
	var options map[string]json.RawMessage
	if err := p.read(&options); err != nil {
		return nil, err
	}
	var list []*part
	if err := json.Unmarshal(options[field], &list); err != nil || len(options) != 1 {
		return nil, p.wrong(fmt.Errorf("want a list of parts %q, and no other option", field))
	}
	var all []*part
	for _, inside := range list {
		if inside == nil {
			return nil, p.wrong(errors.New("null in it: want a part with a type"))
		}
		more, err := inside.as(p.what).flat(field)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

// name returns the kind, "null" for a part that is not there.
func (p *part) name() string {
	if p == nil {
		return "null"
	}
	return p.Type
}

// mentions reports whether a kind occurs in the part.
func (p *part) mentions(kind string) bool {
	return p != nil && bytes.Contains(p.options, []byte(`"`+kind+`"`))
}

// refuse says that a kind is not supported, and which are.
func refuse(what, have, want string) error {
	return fmt.Errorf("%s %q is not supported: want %s", what, have, want)
}

// byteLevelOptions are those of a ByteLevel step. Its trim_offsets is about
// offsets, which nobody asks for here.
type byteLevelOptions struct {
	AddPrefixSpace bool `json:"add_prefix_space"`
	TrimOffsets    bool `json:"trim_offsets"`
	UseRegex       bool `json:"use_regex"`
}

// metaspaceOptions are those of a Metaspace step, new and old.
type metaspaceOptions struct {
	Replacement    string `json:"replacement"`
	PrependScheme  string `json:"prepend_scheme"` // always, first, never
	Split          *bool  `json:"split"`
	AddPrefixSpace *bool  `json:"add_prefix_space"` // old: false is "never"
	StrRep         string `json:"str_rep"`          // old: the replacement again
}

// metaspace reads the options of a Metaspace step.
func (p *part) metaspace() (o metaspaceOptions, err error) {
	o.PrependScheme = "always"
	if err := p.read(&o); err != nil {
		return o, err
	}
	if o.AddPrefixSpace != nil && !*o.AddPrefixSpace {
		o.PrependScheme = "never"
	}
	if utf8.RuneCountInString(o.Replacement) != 1 {
		return o, p.wrong(fmt.Errorf("option \"replacement\" is %q: want one character", o.Replacement))
	}
	if !slices.Contains([]string{"always", "first", "never"}, o.PrependScheme) {
		return o, p.wrong(fmt.Errorf("option \"prepend_scheme\" is %q: want always, first or never", o.PrependScheme))
	}
	return o, nil
}
