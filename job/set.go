package job

import (
	"errors"
	"fmt"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v4"
)

// rivals are keys of which only one may be set: setting one unsets the other.
var rivals = map[string]string{
	"max_steps": "num_epochs", "num_epochs": "max_steps",
	"warmup_steps": "warmup_ratio", "warmup_ratio": "warmup_steps",
}

// Set changes one key: a recipe's key, dotted where it lies in a section
// (lora.r), and its value as a recipe would have it. A list may also be given
// with commas alone. Values that follow from the key follow it, and another
// method leaves the section of the last one behind. The spec is unchanged when there is an error; whether the whole still makes sense says
// Validate.
func (s *Spec) Set(key, value string) error {
	section, name, ok := strings.Cut(key, ".")
	if !ok {
		section, name = "", key
	}
	if _, known := sections[section]; !known || section == "datasets" {
		section, name = "", key
	}
	full, skip, err := find(section, name, value)
	if err != nil || skip {
		return err
	}
	next := s.clone()
	next.forget()
	p := parser{spec: reflect.ValueOf(&next).Elem(), lines: map[string]int{}}
	v := field(p.spec, full)
	n, err := valueNode(v, value)
	if err != nil {
		return fmt.Errorf("%s: %w", full, err)
	}
	if err := p.set(v, full, n); err != nil {
		return errors.Unwrap(err) // its line says nothing here
	}
	if r, ok := rivals[full]; ok {
		field(p.spec, r).SetZero()
	}
	if full == "method" {
		next.leaveSections()
	}
	next.derive()
	*s = next
	return nil
}

// leaveSections removes the sections of other methods.
func (s *Spec) leaveSections() {
	for method, name := range sectionOf {
		if method != s.Method {
			s.sectionField(name).SetZero()
		}
	}
}

// clone copies s, and what Set may write to beneath it.
func (s *Spec) clone() Spec {
	c := *s
	for _, name := range sectionOf {
		if from := s.sectionField(name); !from.IsNil() {
			to := reflect.New(from.Type().Elem())
			to.Elem().Set(from.Elem())
			c.sectionField(name).Set(to)
		}
	}
	return c
}

// valueNode reads a value from a command line. Text needs no quotes there.
func valueNode(v reflect.Value, value string) (*yaml.Node, error) {
	if v.Kind() == reflect.String || strings.TrimSpace(value) == "" {
		return textNode(value), nil
	}
	if v.Kind() == reflect.Slice && v.Type().Elem().Kind() != reflect.Struct && !strings.HasPrefix(value, "[") {
		list := &yaml.Node{Kind: yaml.SequenceNode}
		for item := range strings.SplitSeq(value, ",") {
			n, err := valueNode(reflect.New(v.Type().Elem()).Elem(), strings.TrimSpace(item))
			if err != nil {
				return nil, err
			}
			list.Content = append(list.Content, n)
		}
		return list, nil
	}
	return document([]byte(value))
}

func textNode(value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
}
