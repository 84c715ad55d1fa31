package model

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"carillon/backend"
	"carillon/model/nn"
)

// poolings make one vector [B, d] of what a model makes of a text's tokens
// x [B, T, d], by a recipe's words for them.
var poolings = map[string]func(x, mask *Node) *Node{
	"mean": meanOfTokens,
	"cls":  func(x, _ *Node) *Node { return Squeeze(Slice(x, AxisRange(), AxisElem(0)), 1) },
	"last": func(x, mask *Node) *Node { return nn.PickRows(x, nn.LastTokens(mask)) },
}

// meanOfTokens is the mean over the tokens that are not padding; 0 for a row
// without any.
func meanOfTokens(x, mask *Node) *Node {
	token := ConvertDType(MinScalar(mask, int32(1)), dtypes.Float32)            // [B, T]
	sum := ReduceSum(Mul(x, ExpandDims(token, -1)), 1)                          // [B, d]
	return Div(sum, ExpandDims(MaxScalar(ReduceSum(token, 1), float32(1)), -1)) // [B, d]
}

// InspectBase reads the facts of a base model alone, as Inspect does, and makes sure
// that its tensors fit its configuration: whatever head it has, none is needed.
func InspectBase(ctx context.Context, dir string, opts Options) (f Facts, err error) {
	be, err := backend.Open(ctx, backend.Options{Name: backend.Go})
	if err != nil {
		return f, err
	}
	defer be.Close()
	m, err := load(be.Compute(), dir, opts)
	if err != nil {
		return f, fmt.Errorf("base model %s: %w", dir, err)
	}
	f.Config, f.Hash = m.config, m.hash
	f.Width, f.Depth, f.Heads = m.arch.Dimensions()
	return f, nil
}

// Encoder makes vectors of texts with a base model as it is: no method is in it,
// and nothing of it is trained. It is safe for concurrent use.
type Encoder struct {
	model *Model
	pool  func(x, mask *Node) *Node

	mu       sync.Mutex // guards the field below
	programs map[programKey]*program
}

// Encoder returns the model as one that makes vectors of texts. What stands for a
// text is the mean of what the model makes of its tokens (mean), or what it makes
// of the first (cls) or the last one (last). Of a model with an encoder and a
// decoder it is the encoder that reads.
func (m *Model) Encoder(pooling string) (*Encoder, error) {
	pool, ok := poolings[pooling]
	if !ok {
		return nil, fmt.Errorf("pooling %q is unknown; want mean, cls or last", pooling)
	}
	e := &Encoder{model: m, pool: pool, programs: map[programKey]*program{}}
	var decls []nn.Decl
	g := NewGraph(m.compute, "declare")
	defer g.Finalize()
	err := try(func() error {
		e.build(g, programKey{rows: 1, len: 1}, func(d nn.Decl) { decls = append(decls, d) })
		return nil
	})
	return e, errors.Join(err, m.moveFrozen(decls, false))
}

// Width returns the length of a vector.
func (e *Encoder) Width() int {
	width, _, _ := e.model.arch.Dimensions()
	return width
}

// Features returns the vectors [Rows, Width] of a batch's texts, of which only
// Tokens and Mask are looked at. cls wants its padding on the right.
func (e *Encoder) Features(in Input) ([]float32, error) {
	if err := e.check(in); err != nil {
		return nil, err
	}
	p, err := e.program(programKey{rows: in.Rows, len: in.Len})
	if err != nil {
		return nil, err
	}
	batch := task{}.of(e.model.arch).batch(Input{Rows: in.Rows, Len: in.Len, Tokens: in.Tokens, Mask: in.Mask})
	buffer, err := e.model.compute.BufferFromFlatData(0, batch, shapes.Make(dtypes.Int32, 4, in.Rows, in.Len))
	if err != nil {
		return nil, oneLine{err}
	}
	outputs, err := p.executable.Execute(append([]compute.Buffer{buffer}, p.frozen...), nil, 0)
	if err != nil {
		return nil, errors.Join(oneLine{err}, buffer.Finalize())
	}
	vectors := make([]float32, in.Rows*e.Width())
	return vectors, errors.Join(outputs[0].ToFlatData(vectors), outputs[0].Finalize(), buffer.Finalize())
}

func (e *Encoder) check(in Input) error {
	if err := e.model.checkShape(in.Rows, in.Len); err != nil {
		return err
	}
	if n := in.Rows * in.Len; len(in.Tokens) != n || len(in.Mask) != n {
		return fmt.Errorf("a batch of %d x %d has %d tokens and %d mask entries", in.Rows, in.Len, len(in.Tokens), len(in.Mask))
	}
	return checkIDs(in.Tokens, in.Len, e.model.config.Vocab)
}

// program returns the program for a shape, which it compiles on first use.
func (e *Encoder) program(key programKey) (*program, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if p, ok := e.programs[key]; ok {
		return p, nil
	}
	p, g := &program{}, NewGraph(e.model.compute, fmt.Sprintf("features_%dx%d", key.rows, key.len))
	err := try(func() error {
		err := g.Compile(e.build(g, key, func(d nn.Decl) { p.frozen = append(p.frozen, e.model.buffer(d.Name, dtypes.Float32)) }))
		p.executable = g.Executable()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("compile for %v: %w", key, err)
	}
	e.programs[key] = p
	return p, nil
}

// build returns the vectors of a batch, and tells which parameters they take.
func (e *Encoder) build(g *Graph, key programKey, asked func(nn.Decl)) *Node {
	in, arch := inputsOf(Parameter(g, "batch", shapes.Make(dtypes.Int32, 4, key.rows, key.len))), e.model.arch
	p := nn.NewParams(g, frozen{}, func(d nn.Decl) *Node {
		asked(d)
		return Parameter(g, d.Name, shapes.Make(dtypes.Float32, d.Shape...))
	}, nil)
	_, decodes := arch.(translator)
	s := nn.Sequence{X: arch.Embed(p, in.tokens), Positions: in.positions, Mask: in.mask, Encoder: decodes}
	return e.pool(arch.Hidden(p, s), s.Mask)
}

// Close frees the compiled programs. The parameters are the model's.
func (e *Encoder) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range e.programs {
		p.executable.Finalize()
	}
	clear(e.programs)
	return nil
}
