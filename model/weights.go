package model

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"

	"carillon/job"
	"carillon/model/nn"
	"carillon/safetensors"
)

// openFiles opens the weights and checks them against the graph's parameters.
func (m *Model) openFiles(dir string) error {
	if m.options.ReinitWeights {
		return nil
	}
	files, err := safetensors.OpenDir(dir)
	if err != nil {
		return err
	}
	m.files = files
	if err := m.match(); err != nil {
		return errors.Join(err, m.Close())
	}
	return nil
}

// match pairs tensors with parameters and names all that have no partner.
func (m *Model) match() error {
	params := map[string]nn.Decl{}
	for _, d := range m.base {
		params[d.Name] = d
	}
	m.tensors = map[string]string{}
	var wrong []string
	for _, t := range m.files.Tensors() {
		name := m.arch.Name(t.Name)
		d, ok := params[name]
		switch {
		case name == "" || m.arch.Tied(t.Name) != "":
		case !ok:
			wrong = append(wrong, fmt.Sprintf("tensor %s is superfluous", t.Name))
		case m.tensors[name] != "":
			wrong = append(wrong, fmt.Sprintf("tensors %s and %s are the same parameter", m.tensors[name], t.Name))
		case !slices.Equal(d.Shape, t.Shape):
			wrong = append(wrong, fmt.Sprintf("tensor %s has shape %v, want %v", t.Name, t.Shape, d.Shape))
		}
		if ok && name != "" {
			m.tensors[name] = t.Name
		}
	}
	for _, d := range m.base {
		if m.tensors[d.Name] == "" {
			wrong = append(wrong, fmt.Sprintf("tensor %s is missing", d.Name))
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("its tensors do not fit config.json: %s", strings.Join(wrong, "; "))
	}
	return m.checkTied()
}

// checkTied compares tensors that a file repeats with what they are copies of.
func (m *Model) checkTied() error {
	for _, t := range m.files.Tensors() {
		original := m.tensors[m.arch.Tied(t.Name)]
		if original == "" {
			continue
		}
		n := 1
		for _, dim := range t.Shape {
			n *= dim
		}
		a, b := make([]float32, n), make([]float32, n)
		err := errors.Join(m.files.Float32(t.Name, a), m.files.Float32(original, b))
		if err != nil {
			return err
		}
		if !slices.Equal(a, b) {
			return fmt.Errorf("tensor %s differs from %s, though config.json says tie_word_embeddings", t.Name, original)
		}
	}
	return nil
}

// value fills dst with a base parameter's first value.
func (m *Model) value(d nn.Decl, dst []float32) error {
	if m.files == nil {
		d.Init(job.NewKey(m.options.Seed, job.ForInit, job.NameWord(d.Name)), dst)
		return nil
	}
	if err := m.files.Float32(m.tensors[d.Name], dst); err != nil {
		return err
	}
	for i, x := range dst {
		if x-x != 0 { // NaN or infinite
			return fmt.Errorf("tensor %s: element %d is %v", m.tensors[d.Name], i, x)
		}
	}
	return nil
}

// frozenBuffer returns a base parameter on the device, which all sessions share.
// scratch is memory for its value.
func (m *Model) frozenBuffer(d nn.Decl, scratch *[]float32) (compute.Buffer, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if b, ok := m.buffers[d.Name]; ok {
		return b, nil
	}
	*scratch = slices.Grow((*scratch)[:0], d.Size())[:d.Size()]
	if err := m.value(d, *scratch); err != nil {
		return nil, err
	}
	b, err := m.compute.BufferFromFlatData(0, *scratch, shapes.Make(dtypes.Float32, d.Shape...))
	if err != nil {
		return nil, fmt.Errorf("move %s to the device: %w", d.Name, oneLine{err})
	}
	m.buffers[d.Name] = b
	return b, nil
}

// buffer returns a base parameter that a session has moved to the device.
func (m *Model) buffer(name string) compute.Buffer {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.buffers[name]
}
