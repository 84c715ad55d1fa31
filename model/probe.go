package model

import (
	"crypto/sha256"
	"errors"
	"hash"
	"math"

	"carillon/endian"
	"carillon/job"
	"carillon/model/nn"
)

// Probe names the kind of the compute backend by what it computes: it runs the
// gradient of a shape (target is the length of a decoder's rows, where there is
// one) on a batch and on trainables (none of them zero) that follow
// from seed, and returns SHA-256 of loss and gradient. Two nodes with equal probes
// may train together. Afterwards the trainables are as Initial gives them.
func (s *Session) Probe(rows, length, target int, seed uint64) (sum [sha256.Size]byte, err error) {
	key := job.NewKey(seed, job.ForProbe, uint64(rows), uint64(length))
	if err := s.Upload(s.probeWeights(key)); err != nil {
		return sum, err
	}
	grad := make([]float32, s.size)
	loss, err := s.Gradient(s.probeInput(key, rows, length, target), key, grad)
	if err := errors.Join(err, s.Upload(s.Initial())); err != nil {
		return sum, err
	}
	h := sha256.New()
	writeFloats(h, []float32{loss})
	writeFloats(h, grad)
	return [sha256.Size]byte(h.Sum(nil)), nil
}

// probeWeights are the initial trainables with small odd numbers added, so that
// no product in the gradient is with zero.
func (s *Session) probeWeights(key job.Key) []float32 {
	flat := s.Initial()
	for i := range flat {
		flat[i] += float32(0.02 * (float64(key.Uniform(uint64(i))) - 0.4999))
	}
	return flat
}

// probeInput has rows of different lengths; the first half of each is not asked
// for, and is a part of its own in a packed row.
func (s *Session) probeInput(key job.Key, rows, length, target int) Input {
	n := rows * length
	in := Input{Rows: rows, Len: length, Tokens: make([]int32, n), Labels: make([]int32, n), Mask: make([]int32, n)}
	for i := range n {
		row, at := i/length, i%length
		in.Labels[i] = nn.Ignored
		if at > 1 && at >= length-row%4 {
			continue // padding
		}
		in.Mask[i] = 1
		in.Tokens[i] = int32(key.At(1<<32|uint64(i)) % uint32(s.model.config.Vocab))
		if at >= length/2 {
			in.Labels[i] = in.Tokens[i]
		}
		if s.task.packed && at >= length/2 {
			in.Mask[i] = 2
		}
	}
	if s.task.decodes {
		s.probeDecoder(key, &in, target)
		return in
	}
	in.Targets = s.task.probeTargets(key, rows)
	return in
}

// probeDecoder fills in random tokens; the first half of each row is not asked for.
func (s *Session) probeDecoder(key job.Key, in *Input, target int) {
	in.TargetLen = target
	for i := range in.Rows * target {
		id := int32(key.At(3<<32|uint64(i)) % uint32(s.model.config.Vocab))
		in.DecoderTokens, in.Targets = append(in.DecoderTokens, id), append(in.Targets, id)
		if i%target < target/2 {
			in.Targets[i] = nn.Ignored
		}
	}
}

// probeTargets are classes, or numbers near 1.
func (t task) probeTargets(key job.Key, rows int) []int32 {
	if t.outputs == 0 {
		return nil
	}
	targets := make([]int32, rows)
	for r := range targets {
		targets[r] = int32(key.At(2<<32|uint64(r)) % uint32(t.outputs))
		if t.name == job.Regression {
			targets[r] = int32(math.Float32bits(0.5 + key.Uniform(2<<32|uint64(r))))
		}
	}
	return targets
}

// writeFloats hashes numbers by their bits, little-endian.
func writeFloats(h hash.Hash, x []float32) {
	h.Write(endian.View(x))
}
