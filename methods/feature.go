package methods

import (
	. "github.com/gomlx/gomlx/core/graph"

	"carillon/job"
	"carillon/model/nn"
)

// feature leaves the model as it is: what is trained stands on top of it, in package
// feature. Here it has a place so that a spec with it can be inspected; a session,
// which trains, refuses it. A language model's output layer is on top and yet of the
// model: it is trained, apart from the embeddings that it may have been one with.
type feature struct{ words bool }

func newFeature(spec job.Spec) (nn.Method, error) {
	return feature{spec.TaskType == job.CausalLM || spec.TaskType == job.Seq2SeqLM}, nil
}

// outputLayer is what the output layer is called in files.
const outputLayer = "lm_head.weight"

// Trains says yes to an output layer of its own.
func (f feature) Trains(name string) (string, bool) {
	return outputLayer, f.words && name == outputLayer
}

// Check has nothing to say.
func (feature) Check([]string) error { return nil }

// Linear gives a model that has none an output layer of its own, which begins as the
// embeddings that were it.
func (f feature) Linear(p nn.Params, m nn.Linear) *Node {
	if f.words && m.Head && m.Name != outputLayer {
		embeddings := m.Name
		m.W = p.TrainableFrom(outputLayer, func(b nn.Base, _ job.Key, dst []float32) error {
			values, err := b.Weight(embeddings)
			copy(dst, values)
			return err
		}, m.Out, m.In)
	}
	return m.Apply(m.X)
}
