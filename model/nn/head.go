package nn

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// Head is what of a config.json decides a classifier's head, in Hugging Face's words.
type Head struct {
	NumLabels   int                        `json:"num_labels"` // older files; the newer have id2label alone
	ID2Label    map[string]json.RawMessage `json:"id2label"`
	ProblemType string                     `json:"problem_type"`
}

// Names returns the names of what the head tells apart, by number: one of a
// regression. Names that id2label does not give are Hugging Face's, LABEL_0 and so on.
func (h Head) Names() []string {
	names := make([]string, h.count())
	for i := range names {
		if names[i] = h.name(i); names[i] == "" || len(names) != len(h.ID2Label) {
			names[i] = fmt.Sprintf("LABEL_%d", i)
		}
	}
	return names
}

// count is the number of labels as transformers finds it.
func (h Head) count() int {
	switch {
	case h.NumLabels > 0:
		return h.NumLabels
	case len(h.ID2Label) > 0:
		return len(h.ID2Label)
	}
	return 2
}

// name returns the name that id2label gives a class, or "".
func (h Head) name(i int) (name string) {
	_ = json.Unmarshal(h.ID2Label[strconv.Itoa(i)], &name) // no name, no text: ""
	return name
}

// Check refuses a head that is not built.
func (h Head) Check() error {
	switch n := h.count(); {
	case n > 1<<16:
		return fmt.Errorf("it has %d labels; at most %d are built", n, 1<<16)
	case h.ProblemType == "" || h.ProblemType == "regression" && n == 1 || h.ProblemType == "single_label_classification" && n > 1:
		return nil
	default:
		return fmt.Errorf("problem_type is %q with %d labels; regression with one and single_label_classification with more are built", h.ProblemType, n)
	}
}
