// Package methods holds the fine-tuning methods, one file each: what a method
// trains, its formula, and how it enters a model through the seams of model/nn.
//
// A method is a plain struct made from the job's spec; it keeps no state and
// knows no model. The table below is the only list of methods: a new one is a
// file and a row. A spec that a method cannot serve is refused with the key and
// what would be right; whether it fits a model is known once the model's graph
// has been built (Check).
package methods

import (
	"fmt"
	"maps"
	"slices"

	"carillon/job"
	"carillon/model/nn"
)

// table makes each method from a job's spec.
var table = map[string]func(job.Spec) (nn.Method, error){
	"adapter": newAdapter,
	"bitfit":  newBitFit,
	"feature": newFeature,
	"full":    newFull,
	"ia3":     newIA3,
	"lora":    newLoRA,
	"prefix":  newPrefix,
	"prompt":  newPrompt,
}

// New returns the method that a spec names.
func New(spec job.Spec) (nn.Method, error) {
	make, ok := table[spec.Method]
	if !ok {
		return nil, fmt.Errorf("method %q is not known; known are %q", spec.Method, slices.Sorted(maps.Keys(table)))
	}
	return make(spec)
}
