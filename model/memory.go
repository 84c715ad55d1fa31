package model

import (
	. "github.com/gomlx/gomlx/core/graph"

	"carillon/job"
	"carillon/model/nn"
)

// Memory is what a gradient takes of its device, in bytes, beside the trainables
// and their gradient.
type Memory struct {
	Frozen      int64 // base parameters that are not trained
	Activations int64 // the most that is there at once of what is computed on the way
	OneByOne    int64 // the same of the Go backend, which computes one operation after the other
	Operations  int   // of the gradient's graph
}

// memory says what a gradient of a spec's longest batch takes, by its graph. That is
// built, and neither compiled nor run. A batch that the model does not take has no
// activations here: it is refused elsewhere, in better words.
func (s *Session) memory(spec job.Spec, decls []nn.Decl) (m Memory, err error) {
	for _, d := range decls {
		if d.Key == "" {
			m.Frozen += int64(heldAs(d, s.task.half).ByteSize())
		}
	}
	key := s.key(gradients, Input{Rows: spec.MicroBatchSize, Len: spec.SequenceLen, TargetLen: targetLen(spec)})
	if s.size == 0 || s.checkShape(key) != nil {
		return m, nil
	}
	g := NewGraph(s.model.compute, "memory")
	defer g.Finalize()
	err = try(func() error {
		outputs := s.build(g, key, &program{})
		m.Operations = len(g.Nodes())
		m.Activations = newLiveness(g.Nodes(), outputs, true).peak()
		m.OneByOne = newLiveness(g.Nodes(), outputs, false).peak()
		return nil
	})
	return m, err
}

// targetLen is the length of a decoder's rows in a spec's batches.
func targetLen(spec job.Spec) int {
	if spec.MaxTargetLength > 0 {
		return spec.MaxTargetLength
	}
	return spec.SequenceLen
}
