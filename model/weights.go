package model

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
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
	tensor := r.model.tensors[d.Name]
	if tensor == "" { // all weights are random, or those of a head that the base lacks
		d.Init(job.NewKey(r.model.options.Seed, job.ForInit, job.NameWord(d.Name)), dst)
		return nil
	}
	if err := r.files.Float32(tensor, dst); err != nil {
		return err
	}
	for i, x := range dst {
		if x-x != 0 { // NaN or infinite
			return fmt.Errorf("base model %s: tensor %s: element %d is %v; want a finite number", r.model.dir, tensor, i, x)
		}
	}
	return nil
}

// match pairs tensors with parameters, and makes what the files hold the base
// model's parameters: with random weights, what its own task takes.
func (m *Model) match(p parts) error {
	m.base = p.own
	if m.options.ReinitWeights {
		return nil
	}
	files, err := safetensors.OpenDir(m.dir)
	if err != nil {
		return err
	}
	return errors.Join(m.take(p, files), files.Close())
}

func (m *Model) take(p parts, files *safetensors.Dir) error {
	found, err := p.pair(m.arch, files.Tensors())
	if err != nil {
		return err
	}
	m.tensors = found.tensors
	for _, d := range p.others {
		if m.tensors[d.Name] != "" {
			m.base = append(m.base, d)
		}
	}
	return found.checkCopies(files)
}

// checkCopies compares tensors that a file repeats with what they are copies of.
func (m *pairing) checkCopies(files *safetensors.Dir) error {
	for _, name := range slices.Sorted(maps.Keys(m.copies)) {
		original := m.tensors[m.copies[name]]
		if original == "" {
			continue // of a head that the file does not hold
		}
		same, err := files.Same(original, name)
		if err != nil {
			return err
		}
		if !same {
			return fmt.Errorf("tensor %s differs from %s, though config.json says tie_word_embeddings", name, original)
		}
	}
	return nil
}

// place is a parameter on the device, in the type in which it lies there.
type place struct {
	name  string
	dtype dtypes.DType
}

// heldAs returns how a frozen parameter lies on the device: with half, what is only
// ever rounded is rounded already.
func heldAs(d nn.Decl, half bool) shapes.Shape {
	if half && d.Factor {
		return shapes.Make(dtypes.BFloat16, d.Shape...)
	}
	return shapes.Make(dtypes.Float32, d.Shape...)
}

// moveFrozen moves the parameters that are not trained to the device, where all
// sessions share them.
func (m *Model) moveFrozen(decls []nn.Decl, half bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	missing := slices.DeleteFunc(slices.Clone(decls), func(d nn.Decl) bool {
		return m.buffers[place{d.Name, heldAs(d, half).DType}] != nil || d.Key != ""
	})
	if m.shares(half) {
		missing, m.unshared = m.viewFrozen(missing)
	}
	var scratch []float32
	return m.read(missing, func(r reader) error {
		for _, d := range missing {
			scratch = slices.Grow(scratch[:0], d.Size())[:d.Size()]
			if err := r.value(d, scratch); err != nil {
				return err
			}
			shape := heldAs(d, half)
			b, err := m.toDevice(scratch, shape)
			if err != nil {
				return fmt.Errorf("move %s to the device: %w", d.Name, oneLine{err})
			}
			m.buffers[place{d.Name, shape.DType}] = b
		}
		return nil
	})
}

// toDevice returns a buffer of a shape with numbers, rounded if the shape asks for it.
func (m *Model) toDevice(x []float32, shape shapes.Shape) (compute.Buffer, error) {
	if shape.DType == dtypes.BFloat16 {
		return m.compute.BufferFromFlatData(0, bfloat16.FromFloat32s(x...), shape)
	}
	return m.compute.BufferFromFlatData(0, x, shape)
}

// buffer returns a base parameter that a session has moved to the device.
func (m *Model) buffer(name string, dtype dtypes.DType) compute.Buffer {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.buffers[place{name, dtype}]
}
