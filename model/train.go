package model

import (
	"fmt"

	"carillon/backend"
	"carillon/job"
	"carillon/methods"
)

// Train puts the method that spec names into the model, for the spec's task, and
// returns a session that holds its initial trainables. A spec that names no task
// is for what the base model was made for.
func (m *Model) Train(spec job.Spec) (*Session, error) {
	method, err := methods.New(spec)
	if err != nil {
		return nil, err
	}
	task, err := taskOf(spec, m.arch)
	if err != nil {
		return nil, err
	}
	if task.half && m.kind != backend.CUDA && m.kind != backend.TPU {
		return nil, fmt.Errorf("bf16 is true, and the backend is %s; it is for %s and %s, elsewhere it is slower", m.kind, backend.CUDA, backend.TPU)
	}
	return m.newSession(method, task, spec.Seed)
}
