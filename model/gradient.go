package model

import (
	"errors"
	"fmt"

	"github.com/gomlx/compute"

	"carillon/job"
)

// Gradient returns the loss of a batch, summed over its supervised tokens (a
// classifier's: over its rows), and fills grad (Size numbers) with the gradient of that sum. dropout keys the
// batch's dropout; the zero key turns it off.
func (s *Session) Gradient(in Input, dropout job.Key, grad []float32) (loss float32, err error) {
	if len(grad) != s.size {
		return 0, fmt.Errorf("gradient into %d numbers, want %d", len(grad), s.size)
	}
	err = s.ask(gradients, in, dropoutWords(dropout), func(outputs []compute.Buffer) error {
		if loss, err = scalar(outputs[0]); err != nil {
			return err
		}
		for i, p := range s.packs {
			if err := p.fetch(grad, outputs[i+1], s.model.compute.HasSharedBuffers()); err != nil {
				return err
			}
		}
		return nil
	})
	return loss, err
}

// Loss returns the loss of a batch, summed as Gradient's is, without dropout and
// noise. It runs the program of Gradient, for sessions that train: to compile
// another would take longer.
func (s *Session) Loss(in Input) (loss float32, err error) {
	err = s.ask(gradients, in, dropoutWords(job.Key{}), func(outputs []compute.Buffer) error {
		loss, err = scalar(outputs[0])
		return err
	})
	return loss, err
}

// Evaluate returns the loss of a batch as Loss does, but for the last bits, by a
// program of its own: that of Gradient takes three times as long. Of a classifier it
// also returns what the head gives for each row, [Rows, classes], or [Rows, 1] of a
// regression; its Targets may be nil, then the loss is 0.
func (s *Session) Evaluate(in Input) (loss float32, outputs []float32, err error) {
	err = s.ask(lossAlone, in, make([]uint32, in.Rows), func(buffers []compute.Buffer) error {
		if loss, err = scalar(buffers[0]); err != nil || s.task.outputs == 0 {
			return err
		}
		outputs = make([]float32, in.Rows*s.task.outputs)
		return buffers[1].ToFlatData(outputs)
	})
	return loss, outputs, err
}

// dropoutWords are the key and whether dropout is on.
func dropoutWords(key job.Key) []uint32 {
	if key == (job.Key{}) {
		return []uint32{0, 0, 0}
	}
	return []uint32{key[0], key[1], 1}
}

func scalar(b compute.Buffer) (float32, error) {
	var x [1]float32
	err := b.ToFlatData(x[:])
	return x[0], err
}

// Warm compiles the gradient's program for a shape; target is the length of a
// decoder's rows, where there is one.
func (s *Session) Warm(rows, length, target int) error {
	key := s.key(gradients, Input{Rows: rows, Len: length, TargetLen: target})
	if err := s.checkShape(key); err != nil {
		return err
	}
	_, err := s.program(key)
	return err
}

// NextLogits returns the logits [Rows, vocabulary] at position pos[r] of each row
// r, a decoder's row where there is one: what may follow that token. Labels and a
// decoder's Targets may be nil.
func (s *Session) NextLogits(in Input, pos []int32) (logits []float32, err error) {
	if len(pos) != in.Rows {
		return nil, fmt.Errorf("%d positions for %d rows", len(pos), in.Rows)
	}
	words := make([]uint32, len(pos))
	for r, at := range pos {
		if n := s.key(nextLogits, in).read(); at < 0 || int(at) >= n {
			return nil, fmt.Errorf("position %d in row %d of %d tokens", at, r, n)
		}
		words[r] = uint32(at)
	}
	return s.logits(nextLogits, in, words)
}

// Logits returns the logits [Rows, Len, vocabulary] at all positions, those of a
// decoder where there is one. Labels and a decoder's Targets may be nil.
func (s *Session) Logits(in Input) ([]float32, error) {
	return s.logits(allLogits, in, make([]uint32, in.Rows))
}

func (s *Session) logits(k kind, in Input, words []uint32) (logits []float32, err error) {
	if s.task.outputs > 0 {
		return nil, fmt.Errorf("the model's task is %v: it does not go on with a text", s.task)
	}
	err = s.ask(k, in, words, func(outputs []compute.Buffer) error {
		shape, err := outputs[0].Shape()
		if err != nil {
			return err
		}
		logits = make([]float32, shape.Size())
		return outputs[0].ToFlatData(logits)
	})
	return logits, err
}

// key names the program for a batch.
func (s *Session) key(k kind, in Input) programKey {
	key := programKey{kind: k, rows: in.Rows, len: in.Len}
	if s.task.decodes {
		key.target = in.TargetLen
	}
	return key
}

// ask checks a batch, runs a program on it and hands its outputs to read.
func (s *Session) ask(k kind, in Input, words []uint32, read func([]compute.Buffer) error) error {
	if err := s.checkInput(in); err != nil {
		return err
	}
	key := s.key(k, in)
	p, err := s.program(key)
	if err != nil {
		return err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	outputs, err := s.run(p, in, words)
	if err != nil {
		return fmt.Errorf("run on %v: %w", key, err)
	}
	errs := []error{read(outputs)}
	for _, b := range outputs {
		errs = append(errs, b.Finalize())
	}
	return errors.Join(errs...)
}
