package job

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Load reads a recipe from a file.
func Load(path string) (Spec, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Spec{}, fmt.Errorf("recipe: %w", err)
	}
	return Parse(path, text)
}

// Parse reads a recipe, fills in what it leaves out, and validates it. file
// names it in errors, and output_dir where the recipe does not.
func Parse(file string, text []byte) (Spec, error) {
	root, err := document(text)
	if err != nil {
		return Spec{}, fmt.Errorf("%s: %w", file, err)
	}
	s := defaults(file)
	p := parser{spec: reflect.ValueOf(&s).Elem(), lines: map[string]int{}}
	if err := p.section(p.spec, "", root); err != nil {
		return Spec{}, fmt.Errorf("%s:%w", file, err)
	}
	s.derive()
	if err := s.Validate(); err != nil {
		return Spec{}, fmt.Errorf("%s:%w", file, p.locate(err))
	}
	return s, nil
}

// Says tells whether a recipe's file sets a key at its top, or leaves it to its default.
func Says(path, key string) (bool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	root, err := document(text)
	if err != nil {
		return false, fmt.Errorf("%s: %w", path, err)
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if root.Content[i].Value == key {
			return true, nil
		}
	}
	return false, nil
}

// document returns the one YAML document in text.
func document(text []byte) (*yaml.Node, error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0:
		return nil, errors.New("nothing in it: want keys such as base_model, datasets and method")
	case err != nil:
		return nil, fmt.Errorf("not YAML: %w", err)
	}
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one YAML document: want one")
	}
	return resolve(doc.Content[0]), nil
}

// parser fills a Spec from YAML nodes, and remembers where each key stood.
type parser struct {
	spec  reflect.Value
	lines map[string]int // full key -> line
}

// section reads a group of keys into a struct. key leads to it: "", "lora" or
// "datasets[0]". Its errors are lineErrors, and so are those below.
func (p *parser) section(into reflect.Value, key string, n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return &lineError{n.Line, fmt.Errorf("%s%s; want keys with values", lead(key), describe(n))}
	}
	kind, _, _ := strings.Cut(key, "[")
	if kind == "test_datasets" {
		kind = "datasets" // of the same keys
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], resolve(n.Content[i+1])
		full, skip, err := find(kind, name.Value, shown(value))
		if err != nil {
			return &lineError{name.Line, err}
		}
		if skip {
			continue
		}
		place := full
		if kind != "" {
			place = key + strings.TrimPrefix(full, kind)
		}
		if err := p.once(place, name); err != nil {
			return err
		}
		if isNull(value) {
			continue
		}
		if err := p.set(field(into, strings.TrimPrefix(full, kind+".")), place, value); err != nil {
			return err
		}
	}
	return nil
}

// once refuses a key that was there before, under this name or an alias.
func (p *parser) once(full string, name *yaml.Node) error {
	if line, ok := p.lines[full]; ok {
		return &lineError{name.Line, fmt.Errorf("%s is set on line %d already", full, line)}
	}
	p.lines[full] = name.Line
	return nil
}

// field returns the field that a dotted key leads to, from a struct. A section on
// the way is made, with its defaults.
func field(v reflect.Value, key string) reflect.Value {
	for name := range strings.SplitSeq(key, ".") {
		if v.Kind() == reflect.Pointer {
			v = made(v)
		}
		v = v.Field(fieldsOf(v.Type())[name])
	}
	return v
}

// made returns what a pointer to a section points to.
func made(v reflect.Value) reflect.Value {
	if v.IsNil() {
		v.Set(sectionDefaults(v.Type().Elem()))
	}
	return v.Elem()
}

// set puts a node's value into a field: a scalar, a section, or a list. One
// value may stand for a list of one.
func (p *parser) set(v reflect.Value, key string, n *yaml.Node) error {
	n = resolve(n)
	switch v.Kind() {
	case reflect.Pointer:
		if v.Type().Elem().Kind() != reflect.Struct { // set or not
			v.Set(reflect.New(v.Type().Elem()))
			return p.set(v.Elem(), key, n)
		}
		return p.section(made(v), key, n)
	case reflect.Struct:
		return p.section(v, key, n)
	case reflect.Slice:
		return p.list(v, key, n)
	case reflect.Map:
		return p.pattern(v, key, n)
	}
	if err := setScalar(v, n); err != nil {
		return &lineError{n.Line, fmt.Errorf("%s%w", lead(key), err)}
	}
	return nil
}

func (p *parser) list(v reflect.Value, key string, n *yaml.Node) error {
	items := []*yaml.Node{n}
	if n.Kind == yaml.SequenceNode {
		items = n.Content
	}
	v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	for i, item := range items {
		if err := p.set(v.Index(i), fmt.Sprintf("%s[%d]", key, i), item); err != nil {
			return err
		}
	}
	return nil
}

// pattern reads a map from names to numbers.
func (p *parser) pattern(v reflect.Value, key string, n *yaml.Node) error {
	if n.Kind != yaml.MappingNode {
		return &lineError{n.Line, fmt.Errorf("%s%s; want names with numbers, such as {q_proj: 16}", lead(key), describe(n))}
	}
	v.Set(reflect.MakeMap(v.Type()))
	for i := 0; i+1 < len(n.Content); i += 2 {
		value := reflect.New(v.Type().Elem()).Elem()
		if err := p.set(value, key+"."+n.Content[i].Value, n.Content[i+1]); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(n.Content[i].Value), value)
	}
	return nil
}

// shown is a value as an error repeats it.
func shown(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.ScalarNode:
		return n.Value
	case len(n.Content) == 0:
		return "[]"
	}
	return "..."
}

// lead begins an error about a key; the recipe as a whole has none.
func lead(key string) string {
	if key == "" {
		return ""
	}
	return key + ": "
}

// lineError is an error with the line that it is about; 0: none.
type lineError struct {
	line int
	err  error
}

func (e *lineError) Error() string {
	if e.line == 0 {
		return " " + e.err.Error()
	}
	return fmt.Sprintf("%d: %v", e.line, e.err)
}

func (e *lineError) Unwrap() error { return e.err }

// locate adds to an error of Validate the line that its key stands on.
func (p *parser) locate(err error) error {
	var k *keyError
	if errors.As(err, &k) {
		return &lineError{p.lines[k.key], err}
	}
	return &lineError{0, err}
}
