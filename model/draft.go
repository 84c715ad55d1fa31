package model

import (
	"errors"
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// draft is a batch of texts that are being written. The prompts are read at once; of
// what is added to them, or with a decoder answers them, one token of each row at a
// time.
type draft struct {
	s     *Session
	in    Input // the prompts, and the tokens that decoders begin with
	beams int   // rows that are written for each prompt
	slots int   // tokens for which there is room in each
	place []int32
	kept  []compute.Buffer // keys and values of the texts so far, and what steps do not change
}

// newDraft lays prompts out in a batch of so many; rows beyond them wait.
func (s *Session) newDraft(prompts [][]int32, rows, longest int, w Writing) *draft {
	length := s.roundUp(longest)
	d := &draft{s: s, beams: w.beams(), slots: s.roundUp(longest + w.MaxNew), place: make([]int32, rows*w.beams())}
	d.in = Input{Rows: rows, Len: length, Tokens: make([]int32, rows*length), Mask: make([]int32, rows*length)}
	for r, prompt := range prompts {
		copy(d.in.Tokens[r*length:], prompt)
		for t := range prompt {
			d.in.Mask[r*length+t] = 1
		}
		for b := range d.beams {
			d.place[r*d.beams+b] = int32(len(prompt) - 1)
		}
	}
	if s.task.decodes {
		d.slots = s.roundUp(w.MaxNew)
		clear(d.place)
		d.in.TargetLen = 1
		for range rows {
			d.in.DecoderTokens = append(d.in.DecoderTokens, s.start())
		}
	}
	return d
}

// write lets each author add to the rows that are its own until all are done.
func (d *draft) write(authors []author) (texts [][]int32, err error) {
	d.s.mu.RLock()
	defer d.s.mu.RUnlock()
	defer func() { err = errors.Join(err, free(d.kept)) }()
	tokens, from := make([]int32, len(d.place)), make([]int32, len(d.place))
	logits, err := d.read()
	for err == nil && d.add(authors, logits, tokens, from) {
		logits, err = d.step(tokens, from)
	}
	for _, a := range authors {
		texts = append(texts, a.text())
	}
	return texts, err
}

// add fills in what authors that are not done add, and which rows that goes on with.
// It reports whether any is left.
func (d *draft) add(authors []author, logits []float32, tokens, from []int32) (left bool) {
	own := d.beams * len(logits) / len(d.place)
	for i, a := range authors {
		if a.done() {
			continue
		}
		t, f := a.add(logits[i*own : (i+1)*own])
		for k := range t {
			tokens[i*d.beams+k], from[i*d.beams+k] = t[k], int32(i*d.beams)+f[k]
		}
		left = left || !a.done()
	}
	return left
}

// read reads the prompts, and returns what may come next: logits [rows, V].
func (d *draft) read() ([]float32, error) {
	if err := d.s.checkInput(d.in); err != nil {
		return nil, err
	}
	key := d.s.key(firstLogits, d.in)
	key.slots, key.beams = d.slots, d.beams
	p, err := d.s.program(key)
	if err != nil {
		return nil, err
	}
	words := make([]uint32, d.in.Rows)
	for r := range words {
		words[r] = uint32(d.place[r*d.beams])
	}
	outputs, err := d.s.run(p, d.in, words)
	if err != nil {
		return nil, fmt.Errorf("run on %v: %w", key, err)
	}
	return d.take(outputs)
}

// step reads one token in each row, whose text is what another's was.
func (d *draft) step(tokens, from []int32) ([]float32, error) {
	p, err := d.stepProgram()
	if err != nil {
		return nil, err
	}
	for r := range d.place {
		d.place[r]++
	}
	in, err := d.s.model.compute.BufferFromFlatData(0, slices.Concat(tokens, d.place, from), shapes.Make(dtypes.Int32, stepInputs, len(d.place)))
	if err != nil {
		return nil, oneLine{err}
	}
	outputs, err := d.s.execute(p, append([]compute.Buffer{in}, d.kept...))
	if err := errors.Join(err, in.Finalize()); err != nil {
		return nil, fmt.Errorf("go on with a text: %w", errors.Join(err, free(outputs)))
	}
	return d.take(outputs)
}

// stepProgram returns the program of steps: that of other prompts too, if as many
// rows of the same length are written.
func (d *draft) stepProgram() (*program, error) {
	key := d.s.key(stepLogits, d.in)
	key.rows, key.target, key.slots, key.beams = len(d.place), 0, d.slots, min(d.beams, 2)
	if !d.s.task.decodes {
		key.len = 0
	}
	var was []shapes.Shape
	for _, b := range d.kept {
		shape, err := b.Shape()
		if err != nil {
			return nil, oneLine{err}
		}
		was = append(was, shape)
	}
	return d.s.programOf(key, func(g *Graph, p *program) []*Node { return d.s.stepNodes(g, key, was, p) })
}

// take returns a program's first output, logits, and keeps the others in the place of
// what was kept.
func (d *draft) take(outputs []compute.Buffer) (logits []float32, err error) {
	old := d.kept[:min(len(d.kept), len(outputs)-1)]
	d.kept = append(slices.Clone(outputs[1:]), d.kept[len(old):]...)
	shape, err := outputs[0].Shape()
	if err == nil {
		logits = make([]float32, shape.Size())
		err = outputs[0].ToFlatData(logits)
	}
	return logits, errors.Join(err, outputs[0].Finalize(), free(old))
}

// free frees buffers.
func free(buffers []compute.Buffer) error {
	var errs []error
	for _, b := range buffers {
		errs = append(errs, b.Finalize())
	}
	return errors.Join(errs...)
}
