package model

import (
	"fmt"

	"carillon/job"
	"carillon/methods"
)

// Train puts the method that spec names into the model and returns a session that
// holds its initial trainables.
func (m *Model) Train(spec job.Spec) (*Session, error) {
	method, err := methods.New(spec)
	if err != nil {
		return nil, err
	}
	s, err := m.newSession(method, spec.Seed)
	if err != nil {
		return nil, fmt.Errorf("put method %s into the model: %w", spec.Method, err)
	}
	return s, nil
}
