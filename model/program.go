package model

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"carillon/model/nn"
)

// kind says what a program computes.
type kind uint8

const (
	gradients  kind = iota // the loss, the gradient of each pack, and a classifier's outputs [B, n]
	nextLogits             // [B, V]: the logits at one position of each row
	allLogits              // [B, T, V]
)

// programKey names a compiled program of a session.
type programKey struct {
	kind      kind
	rows, len int
}

// program is compiled code for one shape. Its inputs are the batch (int32
// [4, B, T]), a word list (uint32: dropout key and switch, or positions), the
// packs, and the frozen parameters that it uses.
type program struct {
	executable compute.Executable
	frozen     []compute.Buffer
}

// program returns the program for a shape, which it compiles on first use.
func (s *Session) program(key programKey) (*program, error) {
	s.compiling.Lock()
	defer s.compiling.Unlock()
	if p, ok := s.programs[key]; ok {
		return p, nil
	}
	p, err := s.compile(key)
	if err != nil {
		return nil, fmt.Errorf("compile for %d x %d tokens: %w", key.rows, key.len, err)
	}
	s.programs[key] = p
	return p, nil
}

func (s *Session) compile(key programKey) (*program, error) {
	g := NewGraph(s.model.compute, fmt.Sprintf("carillon_%d_%dx%d", key.kind, key.rows, key.len))
	p := &program{}
	err := try(func() error {
		if err := g.Compile(s.build(g, key, p)...); err != nil {
			return err
		}
		p.executable = g.Executable()
		return nil
	})
	return p, err
}

// build builds the graph of a program, notes the frozen parameters it uses in p,
// and returns its outputs.
func (s *Session) build(g *Graph, key programKey, p *program) []*Node {
	batch := Parameter(g, "batch", shapes.Make(dtypes.Int32, 4, key.rows, key.len))
	words := Parameter(g, "words", shapes.Make(dtypes.Uint32, wordsOf(key)))
	trained := s.trainedNodes(g)
	source := func(d nn.Decl) *Node {
		if n, ok := trained[d.Key]; ok {
			return n
		}
		p.frozen = append(p.frozen, s.model.buffer(d.Name))
		return Parameter(g, d.Name, shapes.Make(dtypes.Float32, d.Shape...))
	}
	in, arch := inputsOf(batch), s.model.arch
	if key.kind == gradients {
		loss, outputs := s.task.loss(arch, nn.NewParams(g, s.method, source, words), in)
		all := append([]*Node{loss}, s.gradientNodes(loss, trained)...)
		if outputs != nil {
			all = append(all, outputs)
		}
		return all
	}
	params := nn.NewParams(g, s.method, source, nil)
	x, _ := s.task.hidden(arch, params, in)
	if key.kind == nextLogits {
		lead := x.Shape().Dim(1) - key.len
		x = nn.PickRows(x, AddScalar(ConvertDType(words, dtypes.Int32), int32(lead)))
	}
	return []*Node{arch.Logits(params, x)}
}

// wordsOf returns the length of a program's second input.
func wordsOf(key programKey) int {
	if key.kind == gradients {
		return 3
	}
	return key.rows
}

// trainedNodes creates the inputs for the packs and returns the trainables by key.
func (s *Session) trainedNodes(g *Graph) map[string]*Node {
	trained := map[string]*Node{}
	for i, p := range s.packs {
		node := Parameter(g, fmt.Sprintf("pack_%d", i), p.shape)
		for k, n := range p.split(node, s.decls) {
			trained[s.decls[p.parts[k].decl].Key] = n
		}
	}
	return trained
}

// gradientNodes returns the gradient of loss for each pack.
func (s *Session) gradientNodes(loss *Node, trained map[string]*Node) []*Node {
	var wrt []*Node
	for _, p := range s.packs {
		for _, part := range p.parts {
			wrt = append(wrt, trained[s.decls[part.decl].Key])
		}
	}
	all := Gradient(loss, wrt...)
	out := make([]*Node, len(s.packs))
	for i, p := range s.packs {
		out[i] = p.join(all[:len(p.parts)])
		all = all[len(p.parts):]
	}
	return out
}

// run executes a program. The caller holds s.mu for reading until it has read
// the outputs, and finalizes them.
func (s *Session) run(p *program, in Input, words []uint32) (outputs []compute.Buffer, err error) {
	be := s.model.compute
	batch, err := be.BufferFromFlatData(0, s.task.batch(in), shapes.Make(dtypes.Int32, 4, in.Rows, in.Len))
	if err != nil {
		return nil, oneLine{err}
	}
	defer batch.Finalize()
	second, err := be.BufferFromFlatData(0, words, shapes.Make(dtypes.Uint32, len(words)))
	if err != nil {
		return nil, oneLine{err}
	}
	defer second.Finalize()
	buffers := append(append([]compute.Buffer{batch, second}, s.weights...), p.frozen...)
	outputs, err = p.executable.Execute(buffers, nil, 0)
	if err != nil {
		return nil, oneLine{err}
	}
	return outputs, nil
}
