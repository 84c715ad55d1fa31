package model

import (
	"errors"
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"carillon/model/nn"
)

// What programs compute for an output layer that is trained alone.
const (
	hiddenStates  kind = iota + 100 // what the head sees, [B, T, d], of a decoder's rows where there is one
	headGradients                   // the loss of such states, and the gradient of each pack
)

// States returns what a language model's head sees of a batch [Rows, Len, d], where
// there is a decoder of its rows [Rows, TargetLen, d]. Labels and a decoder's Targets
// may be nil. The same batch gives the same bits.
func (s *Session) States(in Input) ([]float32, error) {
	if s.task.outputs > 0 {
		return nil, fmt.Errorf("the model's task is %v; the states of a language model are asked for", s.task)
	}
	if err := s.checkInput(in); err != nil {
		return nil, err
	}
	key := s.key(hiddenStates, in)
	p, err := s.programOf(key, func(g *Graph, p *program) []*Node {
		batch := s.task.batchNodes(g, key)
		Parameter(g, "words", shapes.Make(dtypes.Uint32, 1)) // run wants some
		params := s.task.params(g, s.method, s.sourceOf(g, s.trainedNodes(g), p), nil)
		x, _ := s.task.hidden(s.model.arch, params, batch)
		return []*Node{x}
	})
	if err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	outputs, err := s.run(p, in, []uint32{0})
	if err != nil {
		return nil, fmt.Errorf("run on %v: %w", key, err)
	}
	width, _, _ := s.model.arch.Dimensions()
	states := make([]float32, in.Rows*key.read()*width)
	return states, errors.Join(outputs[0].ToFlatData(states), outputs[0].Finalize())
}

// HeadGradient returns the loss of states [n, d] as States gives them, where labels
// (n; -100 where nothing is asked) are the tokens that are to be said there, summed, and fills grad
// (Size numbers) with its gradient by what the session trains of the head.
func (s *Session) HeadGradient(states []float32, labels []int32, grad []float32) (loss float32, err error) {
	width, _, _ := s.model.arch.Dimensions()
	if len(states) != len(labels)*width || len(grad) != s.size {
		return 0, fmt.Errorf("%d numbers of states with %d labels, and a gradient into %d; want %d and %d", len(states), len(labels), len(grad), len(labels)*width, s.size)
	}
	key := programKey{kind: headGradients, rows: len(labels), len: 1}
	p, err := s.programOf(key, func(g *Graph, p *program) []*Node {
		x := Parameter(g, "states", shapes.Make(dtypes.Float32, len(labels), width))
		y := Parameter(g, "labels", shapes.Make(dtypes.Int32, len(labels)))
		trained := s.trainedNodes(g)
		params := s.task.params(g, s.method, s.sourceOf(g, trained, p), nil)
		loss := nn.ClassLoss(s.model.arch.Logits(params, x), y, nil)
		return append([]*Node{loss}, s.gradientNodes(params, loss, trained)...)
	})
	if err != nil {
		return 0, err
	}
	return s.headGradient(p, states, labels, grad)
}

func (s *Session) headGradient(p *program, states []float32, labels []int32, grad []float32) (loss float32, err error) {
	x, err := s.model.compute.BufferFromFlatData(0, states, shapes.Make(dtypes.Float32, len(labels), len(states)/len(labels)))
	if err != nil {
		return 0, oneLine{err}
	}
	defer x.Finalize()
	y, err := s.model.compute.BufferFromFlatData(0, labels, shapes.Make(dtypes.Int32, len(labels)))
	if err != nil {
		return 0, oneLine{err}
	}
	defer y.Finalize()
	s.mu.RLock()
	defer s.mu.RUnlock()
	outputs, err := s.execute(p, []compute.Buffer{x, y})
	if err != nil {
		return 0, err
	}
	loss, err = scalar(outputs[0])
	for i, pack := range s.packs {
		err = errors.Join(err, pack.fetch(grad, outputs[i+1], s.model.compute.HasSharedBuffers()))
	}
	for _, b := range outputs {
		err = errors.Join(err, b.Finalize())
	}
	return loss, err
}
