package model

import (
	"errors"

	"carillon/model/nn"
)

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
