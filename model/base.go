package model

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"carillon/model/nn"
	"carillon/tokenizer"
)

// base shows a model to first values that are taken from it.
type base struct{ model *Model }

// Vocab returns the number of tokens.
func (b base) Vocab() int { return b.model.config.Vocab }

// Weight returns the values of a parameter.
func (b base) Weight(name string) (data []float32, err error) {
	i := slices.IndexFunc(b.model.base, func(d nn.Decl) bool { return d.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("the base model has no parameter %s", name)
	}
	d := b.model.base[i]
	data = make([]float32, d.Size())
	return data, b.model.read([]nn.Decl{d}, func(r reader) error { return r.value(d, data) })
}

// Tokens returns the ids of a text, by the tokenizer in the model's directory.
func (b base) Tokens(text string, special bool) ([]int32, error) {
	tok, err := tokenizer.Open(b.model.dir)
	if err != nil {
		return nil, err
	}
	ids := tok.Encode(text, nil)
	if special {
		ids = tok.Single(ids, nil)
	}
	return ids, nil
}

// Embeddings returns the embeddings [T, d] of ids.
func (b base) Embeddings(ids []int32) ([]float32, error) {
	return b.run(ids, frozen{}, func(p nn.Params, s nn.Sequence) *Node { return s.X })
}

// KeysValues returns the keys and values [T, 2·layers, H, hd] of ids as a text.
func (b base) KeysValues(ids []int32) ([]float32, error) {
	heard := &listener{}
	return b.run(ids, heard, func(p nn.Params, s nn.Sequence) *Node {
		b.model.arch.Hidden(p, s)
		return Concatenate(heard.slots, 1)
	})
}

// listener is the method that changes nothing, and hears what is attended to.
type listener struct {
	frozen
	slots []*Node // [T, 1, H, hd] each: keys, values, keys, values, …
}

// KeysValues notes k and v [1, H, T, hd].
func (l *listener) KeysValues(_ nn.Params, _, _ int, k, v *Node) (keys, values *Node) {
	for _, x := range []*Node{k, v} {
		l.slots = append(l.slots, TransposeAllAxes(x, 2, 0, 1, 3))
	}
	return k, v
}

// run computes a part of the model on ids, in one row.
func (b base) run(ids []int32, method nn.Method, part func(nn.Params, nn.Sequence) *Node) ([]float32, error) {
	if err := b.check(ids); err != nil {
		return nil, err
	}
	m, g := b.model, NewGraph(b.model.compute, "first_values")
	var decls []nn.Decl
	err := try(func() error {
		in := inputsOf(Parameter(g, "batch", shapes.Make(dtypes.Int32, 4, 1, len(ids))))
		p := nn.NewParams(g, method, func(d nn.Decl) *Node {
			decls = append(decls, d)
			return Parameter(g, d.Name, shapes.Make(dtypes.Float32, d.Shape...))
		}, nil)
		s := nn.Sequence{X: m.arch.Embed(p, in.tokens), Positions: in.positions, Mask: in.mask}
		return g.Compile(part(p, s))
	})
	if err != nil {
		return nil, err
	}
	defer g.Finalize()
	if err := m.moveFrozen(decls, false); err != nil {
		return nil, err
	}
	return m.execute(g.Executable(), ids, decls)
}

// check refuses ids that an engine would clamp.
func (b base) check(ids []int32) error {
	if err := b.model.checkShape(1, len(ids)); err != nil {
		return err
	}
	for _, id := range ids {
		if id < 0 || int(id) >= b.Vocab() {
			return fmt.Errorf("token %d is not in the vocabulary of %d", id, b.Vocab())
		}
	}
	return nil
}

// execute runs a program of one output on a row of ids and base parameters.
func (m *Model) execute(program compute.Executable, ids []int32, decls []nn.Decl) (out []float32, err error) {
	mask := make([]int32, len(ids))
	for i := range mask {
		mask[i] = 1
	}
	batch := task{}.batch(Input{Rows: 1, Len: len(ids), Tokens: ids, Mask: mask})
	buffer, err := m.compute.BufferFromFlatData(0, batch, shapes.Make(dtypes.Int32, 4, 1, len(ids)))
	if err != nil {
		return nil, oneLine{err}
	}
	defer func() { err = errors.Join(err, buffer.Finalize()) }()
	inputs := []compute.Buffer{buffer}
	for _, d := range decls {
		inputs = append(inputs, m.buffer(d.Name, dtypes.Float32))
	}
	outputs, err := program.Execute(inputs, nil, 0)
	if err != nil {
		return nil, oneLine{err}
	}
	shape, err := outputs[0].Shape()
	if err == nil {
		out = make([]float32, shape.Size())
		err = outputs[0].ToFlatData(out)
	}
	return out, errors.Join(err, outputs[0].Finalize())
}
