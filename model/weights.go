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

// reader reads base parameters' first values. The files are open only while
// somebody reads: mapped, they count as the process's memory.
type reader struct {
	model *Model
	files *safetensors.Dir // nil with ReinitWeights
}

// has reports whether a parameter is the base model's own.
func (m *Model) has(name string) bool {
	return slices.ContainsFunc(m.base, func(d nn.Decl) bool { return d.Name == name })
}

// read opens the weights for the duration of fn, if any of decls is in them.
func (m *Model) read(decls []nn.Decl, fn func(reader) error) error {
	ours := func(d nn.Decl) bool { return m.has(d.Name) }
	if m.options.ReinitWeights || !slices.ContainsFunc(decls, ours) {
		return fn(reader{model: m})
	}
	files, err := safetensors.OpenDir(m.dir)
	if err != nil {
		return err
	}
	return errors.Join(fn(reader{m, files}), files.Close())
}

// value fills dst with a base parameter's first value.
func (r reader) value(d nn.Decl, dst []float32) error {
	if r.files == nil {
		d.Init(job.NewKey(r.model.options.Seed, job.ForInit, job.NameWord(d.Name)), dst)
		return nil
	}
	tensor := r.model.tensors[d.Name]
	if err := r.files.Float32(tensor, dst); err != nil {
		return err
	}
	for i, x := range dst {
		if x-x != 0 { // NaN or infinite
			return fmt.Errorf("%s: tensor %s: element %d is %v; want a finite number", r.model.dir, tensor, i, x)
		}
	}
	return nil
}

// match pairs tensors with parameters and names all that have no partner.
func (m *Model) match() error {
	if m.options.ReinitWeights {
		return nil
	}
	return m.read(m.base, func(r reader) error {
		if err := m.pair(r.files.Tensors()); err != nil {
			return err
		}
		return m.checkTied(r.files)
	})
}

// pair finds each parameter's tensor.
func (m *Model) pair(tensors []safetensors.Info) error {
	params := map[string]nn.Decl{}
	for _, d := range m.base {
		params[d.Name] = d
	}
	m.tensors = map[string]string{}
	var wrong []string
	for _, t := range tensors {
		name := m.arch.Name(t.Name)
		d, ok := params[name]
		switch {
		case m.arch.Unused(t.Name) != "" || m.arch.Tied(t.Name) != "":
		case !ok:
			wrong = append(wrong, fmt.Sprintf("tensor %s is superfluous", t.Name))
		case m.tensors[name] != "":
			wrong = append(wrong, fmt.Sprintf("tensors %s and %s are the same parameter", m.tensors[name], t.Name))
		case !slices.Equal(d.Shape, t.Shape):
			wrong = append(wrong, fmt.Sprintf("tensor %s has shape %v, want %v", t.Name, t.Shape, d.Shape))
		}
		if ok {
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
	return nil
}

// checkTied compares tensors that a file repeats with what they are copies of.
func (m *Model) checkTied(files *safetensors.Dir) error {
	for _, t := range files.Tensors() {
		original := m.tensors[m.arch.Tied(t.Name)]
		if original == "" {
			continue
		}
		a, b := make([]float32, t.Size()), make([]float32, t.Size())
		if err := errors.Join(files.Float32(original, b), files.Float32(t.Name, a)); err != nil {
			return err
		}
		if !slices.Equal(a, b) {
			return fmt.Errorf("tensor %s differs from %s, though config.json says tie_word_embeddings", t.Name, original)
		}
	}
	return nil
}

// moveFrozen moves the parameters that are not trained to the device, where all
// sessions share them.
func (m *Model) moveFrozen(decls []nn.Decl) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	missing := slices.DeleteFunc(slices.Clone(decls), func(d nn.Decl) bool {
		return m.buffers[d.Name] != nil || d.Key != ""
	})
	var scratch []float32
	return m.read(missing, func(r reader) error {
		for _, d := range missing {
			scratch = slices.Grow(scratch[:0], d.Size())[:d.Size()]
			if err := r.value(d, scratch); err != nil {
				return err
			}
			b, err := m.compute.BufferFromFlatData(0, scratch, shapes.Make(dtypes.Float32, d.Shape...))
			if err != nil {
				return fmt.Errorf("move %s to the device: %w", d.Name, oneLine{err})
			}
			m.buffers[d.Name] = b
		}
		return nil
	})
}

// buffer returns a base parameter that a session has moved to the device.
func (m *Model) buffer(name string) compute.Buffer {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.buffers[name]
}
