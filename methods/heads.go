package methods

import (
	"slices"
	"strings"
)

// peftPrefix begins the keys of PEFT's adapters that wrap the model.
const peftPrefix = "base_model.model."

// heads are the modules of a classifier that are trained beside whatever a method
// adds, where a model has them: most often they are new. They are what PEFT calls
// modules_to_save and fills in so for classifiers.
var heads = []string{"classifier", "score"}

// inHead says whether a parameter, or a module, is one of a classifier's head. PEFT
// looks at the ends of modules' names: pre_classifier is one too.
func inHead(name string) bool {
	for part := range strings.SplitSeq(name, ".") {
		if slices.ContainsFunc(heads, func(head string) bool { return strings.HasSuffix(part, head) }) {
			return true
		}
	}
	return false
}
