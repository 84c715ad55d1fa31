package methods

import (
	"errors"
	"slices"
	"strings"

	"carillon/job"
	"carillon/model/nn"
)

// BitFit trains the biases of the model and a classifier's head, under their own
// names (Ben Zaken et al., 2022, https://arxiv.org/abs/2106.10199).
type BitFit struct{}

func newBitFit(job.Spec) (nn.Method, error) { return BitFit{}, nil }

// Trains says yes to biases and to the head.
func (BitFit) Trains(name string) (string, bool) {
	return name, strings.HasSuffix(name, ".bias") || inHead(name)
}

// Check has nothing to ask for.
func (BitFit) Check([]string) error { return nil }

// CheckNames refuses a model without biases (T5, Llama).
func (BitFit) CheckNames(parameters []string) error {
	if !slices.ContainsFunc(parameters, func(name string) bool { return strings.HasSuffix(name, ".bias") }) {
		return errors.New("method bitfit trains biases, and the model has none; lora or ia3 cost as little")
	}
	return nil
}
