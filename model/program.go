package model

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"carillon/model/nn"
)

// kind says what a program computes.
type kind uint8

const (
	gradients   kind = iota // the loss, and the gradient of each pack
	lossAlone               // the loss, and a classifier's outputs [B, n]
	nextLogits              // [B, V]: the logits at one position of each row (a decoder's, where there is one)
	allLogits               // [B, T, V]
	firstLogits             // as nextLogits, and what steps keep
	stepLogits              // [B, V]: the logits after one more token of each row, and what steps keep
)

// programKey names a compiled program of a session.
type programKey struct {
	kind      kind
	rows, len int
	target    int // length of a decoder's rows; 0: there is none
	slots     int // of what is kept of texts, for tokens
	beams     int // how many rows are written for each that is read; of steps: 1 if rows stay where they are
}

func (k programKey) String() string {
	if k.kind == stepLogits {
		return fmt.Sprintf("a token of each of %d rows of %d", k.rows, k.slots)
	}
	if k.target > 0 {
		return fmt.Sprintf("%d x %d tokens and %d targets", k.rows, k.len, k.target)
	}
	return fmt.Sprintf("%d x %d tokens", k.rows, k.len)
}

// program is compiled code for one shape. Its inputs are the batch (int32
// [4, B, T]), a decoder's part of it (int32 [2, B, Td]) where there is a decoder,
// a word list (uint32: dropout key and switch, or positions), the packs, and the
// frozen parameters that it uses.
type program struct {
	executable compute.Executable
	frozen     []compute.Buffer
}

// program returns the program for a shape, which it compiles on first use.
func (s *Session) program(key programKey) (*program, error) {
	return s.programOf(key, func(g *Graph, p *program) []*Node { return s.build(g, key, p) })
}

// programOf is program for one that build builds.
func (s *Session) programOf(key programKey, build func(*Graph, *program) []*Node) (*program, error) {
	s.compiling.Lock()
	defer s.compiling.Unlock()
	if p, ok := s.programs[key]; ok {
		return p, nil
	}
	p, err := s.compile(key, build)
	if err != nil {
		return nil, fmt.Errorf("compile for %v: %w", key, err)
	}
	s.programs[key] = p
	return p, nil
}

func (s *Session) compile(key programKey, build func(*Graph, *program) []*Node) (*program, error) {
	g := NewGraph(s.model.compute, fmt.Sprintf("carillon_%d_%dx%d", key.kind, key.rows, key.len))
	p := &program{}
	err := try(func() error {
		if err := g.Compile(build(g, p)...); err != nil {
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
	in, arch := s.task.batchNodes(g, key), s.model.arch
	words := Parameter(g, "words", shapes.Make(dtypes.Uint32, wordsOf(key)))
	trained := s.trainedNodes(g)
	source := s.sourceOf(g, trained, p)
	if key.kind == gradients {
		params := s.task.params(g, s.method, source, words)
		if s.task.again {
			params = params.Again()
		}
		loss, _ := s.task.loss(arch, params, in)
		return append([]*Node{loss}, s.gradientNodes(params, loss, trained)...)
	}
	params, kept := s.task.params(g, s.method, source, nil), &nn.Kept{}
	if key.kind == lossAlone {
		loss, outputs := s.task.loss(arch, params, in)
		if outputs == nil {
			return []*Node{loss}
		}
		return []*Node{loss, outputs}
	}
	if key.kind == firstLogits {
		params.Keep(kept)
	}
	x, seq := s.task.hidden(arch, params, in)
	lead := x.Shape().Dim(1) - key.read()
	if key.kind != allLogits {
		x = nn.PickRows(x, AddScalar(ConvertDType(words, dtypes.Int32), int32(lead)))
	}
	logits := arch.Logits(params, x)
	if key.kind == firstLogits {
		return append([]*Node{repeat(logits, key.beams)}, s.keepNodes(key, kept, seq, lead)...)
	}
	return []*Node{logits}
}

// sourceOf gives parameters their nodes: of trained ones those given, by key; frozen
// ones are noted in p.
func (s *Session) sourceOf(g *Graph, trained map[string]*Node, p *program) func(nn.Decl) *Node {
	return func(d nn.Decl) *Node {
		if n, ok := trained[d.Key]; ok {
			return n
		}
		shape := heldAs(d, s.task.half)
		p.frozen = append(p.frozen, s.model.buffer(d.Name, shape.DType))
		return ConvertDType(Parameter(g, d.Name, shape), dtypes.Float32)
	}
}

// params are the parameters of a graph for the task.
func (t task) params(g *Graph, method nn.Method, source func(nn.Decl) *Node, dropout *Node) nn.Params {
	p := nn.NewParams(g, method, source, dropout)
	if t.half {
		p = p.Half()
	}
	return p
}

// read returns the length of the rows that logits are asked of.
func (k programKey) read() int {
	if k.target > 0 {
		return k.target
	}
	return k.len
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
func (s *Session) gradientNodes(params nn.Params, loss *Node, trained map[string]*Node) []*Node {
	var wrt []*Node
	for _, p := range s.packs {
		for _, part := range p.parts {
			wrt = append(wrt, trained[s.decls[part.decl].Key])
		}
	}
	all := params.Gradient(loss, wrt)
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
	buffers, err := s.upload(in, words)
	defer func() {
		for _, b := range buffers {
			b.Finalize()
		}
	}()
	if err != nil {
		return nil, oneLine{err}
	}
	return s.execute(p, buffers)
}

// execute executes a program with its own inputs and the parameters.
func (s *Session) execute(p *program, inputs []compute.Buffer) ([]compute.Buffer, error) {
	outputs, err := p.executable.Execute(slices.Concat(inputs, s.weights, p.frozen), nil, 0)
	if err != nil {
		return nil, oneLine{err}
	}
	return outputs, nil
}

// upload moves a program's first inputs to the device. The caller finalizes what
// it returns, after an error too.
func (s *Session) upload(in Input, words []uint32) (buffers []compute.Buffer, err error) {
	add := func(flat any, shape shapes.Shape) {
		if err != nil {
			return
		}
		var b compute.Buffer
		if b, err = s.model.compute.BufferFromFlatData(0, flat, shape); err == nil {
			buffers = append(buffers, b)
		}
	}
	add(s.task.batch(in), shapes.Make(dtypes.Int32, 4, in.Rows, in.Len))
	if s.task.decodes {
		add(s.task.decoder(in), shapes.Make(dtypes.Int32, 2, in.Rows, in.TargetLen))
	}
	add(words, shapes.Make(dtypes.Uint32, len(words)))
	return buffers, err
}
