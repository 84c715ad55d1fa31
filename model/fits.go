package model

import (
	"errors"
	"fmt"

	"carillon/model/nn"
)

// declare returns the parameters of the model with a method in it, for a task.
func (m *Model) declare(method nn.Method, t task) ([]nn.Decl, error) {
	decls, modules, err := declare(m.compute, m.arch, method, t)
	if err != nil {
		return nil, err
	}
	if err := checkMethod(method, decls, modules); err != nil {
		return nil, err
	}
	return decls, m.checkHead(t, decls)
}

// checkHead refuses to begin a language model's head anew: what it says would be
// noise. A classifier's head most often is new.
func (m *Model) checkHead(t task, decls []nn.Decl) error {
	if t.outputs > 0 || m.options.ReinitWeights {
		return nil
	}
	for _, d := range decls {
		if !d.Added && !m.has(d.Name) {
			return fmt.Errorf("task_type %s needs the head of a language model, which the base's files do not hold: %s is missing", t.name, d.Name)
		}
	}
	return nil
}

// checkMethod says whether a method fits a model that declares these parameters,
// linear maps and embeddings.
func checkMethod(method nn.Method, decls []nn.Decl, modules []string) error {
	err := method.Check(modules)
	if m, ok := method.(nn.Names); ok {
		var own []string
		for _, d := range decls {
			if !d.Added {
				own = append(own, d.Name)
			}
		}
		err = errors.Join(err, m.CheckNames(own))
	}
	return err
}

// setRates gives each trainable what its learning rate is multiplied by.
func setRates(method nn.Method, params []Param) {
	m, ok := method.(nn.Rates)
	if !ok {
		return
	}
	keys := make([]string, len(params))
	for i, p := range params {
		keys[i] = p.Name
	}
	for i, rate := range m.Rates(keys) {
		params[i].Rate = rate
	}
}
