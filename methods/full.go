package methods

import (
	"errors"

	"carillon/job"
	"carillon/model/nn"
)

// Full trains every parameter of the model, under its own name.
type Full struct{}

func newFull(spec job.Spec) (nn.Method, error) {
	if len(spec.UnfrozenParameters) > 0 || spec.LayerLRDecay != 0 && spec.LayerLRDecay != 1 {
		return nil, errors.New("unfrozen_parameters and layer_lr_decay are not built")
	}
	return Full{}, nil
}

// Trains says yes to all.
func (Full) Trains(name string) (string, bool) { return name, true }

// Check has nothing to ask for.
func (Full) Check([]string) error { return nil }
