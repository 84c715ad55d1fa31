package gpt2

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	. "github.com/gomlx/gomlx/core/graph"

	"carillon/model/nn"
)

// classifier is the architecture whose head tells classes apart.
const classifier = "GPT2ForSequenceClassification"

// Head is what of config.json decides a classifier's head, in Hugging Face's words.
type Head struct {
	NumLabels   int                        `json:"num_labels"` // older files; the newer have id2label alone
	ID2Label    map[string]json.RawMessage `json:"id2label"`
	ProblemType string                     `json:"problem_type"`
}

// Classes returns the names of what a classifier tells apart, by number: one of a
// regression, none of a model that goes on with a text.
func (c Config) Classes() []string {
	if !slices.Contains(c.Architectures, classifier) {
		return nil
	}
	names := make([]string, c.Head.count())
	for i := range names {
		if names[i] = c.Head.name(i); names[i] == "" || len(names) != len(c.ID2Label) {
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

// check refuses a head that is not built.
func (h Head) check() error {
	switch n := h.count(); {
	case n > 1<<16:
		return fmt.Errorf("it has %d labels; at most %d are built", n, 1<<16)
	case h.ProblemType == "" || h.ProblemType == "regression" && n == 1 || h.ProblemType == "single_label_classification" && n > 1:
		return nil
	default:
		return fmt.Errorf("problem_type is %q with %d labels; regression with one and single_label_classification with more are built", h.ProblemType, n)
	}
}

// Score returns a classifier's outputs y·Sᵀ [B, n], where y [B, d] is what Hidden
// gives for the last token of each row, of x [B, T, d].
func (m Model) Score(p nn.Params, x *Node, s nn.Sequence, n int) *Node {
	last := nn.PickRows(x, nn.LastTokens(s.Mask))
	return nn.MatT(last, p.In("score").Weight("weight", nn.Normal(m.InitializerRange), n, m.NEmbd))
}
