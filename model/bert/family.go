package bert

import (
	"regexp"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
)

// family is what one of the three calls the parts of the graph they share, and
// where its mathematics is its own.
type family struct {
	class string // its classes' names begin with it
	root  string // module of the model without a head
	types bool   // tokens have types
	pad   int    // pad_token_id where config.json has none
	after bool   // positions start behind pad_token_id, not at 0

	layers                    string // module of the layers; the following are below one
	query, key, value, output string
	attentionNorm             string
	up, down, norm            string
	attentionBottleneck       string // where AdapterHub has its bottlenecks
	bottleneck                string

	pooler     string            // makes the classifier's features of the first token; "": they are that token
	dense      string            // the classifier's hidden layer; "": none
	activation func(*Node) *Node // that follows pooler or dense
	classifier string            // the classifier's output layer

	transform, transformNorm string // the masked-LM head's hidden layer
	decoder, decoderBias     string // its output layer
	lmActivation             string // "": hidden_act

	unused []unused
}

// unused are tensors of files that no graph of the family needs.
type unused struct {
	names  *regexp.Regexp
	reason string
}

// positionIDs are the numbers 0, 1, … that files of old hold.
var positionIDs = unused{regexp.MustCompile(`(^|\.)embeddings\.position_ids$`), "a buffer of the numbers 0, 1, …: positions are computed"}

// families by their model_type.
var families = map[string]family{"bert": bert, "roberta": roberta, "distilbert": distilbert}

// What a class does, as its name says after the family's.
const (
	classifier  = "ForSequenceClassification"
	maskedLM    = "ForMaskedLM"
	pretraining = "ForPreTraining" // masked LM, and a second head that nothing needs
	headless    = "Model"
)

// classes returns the family's classes that are built.
func (f family) classes() []string {
	kinds := []string{maskedLM, classifier, headless}
	if f.class == bert.class {
		kinds = append(kinds, pretraining)
	}
	for i := range kinds {
		kinds[i] = f.class + kinds[i]
	}
	return kinds
}

// has reports whether config.json says that the model is of a class.
func (m Model) has(kind string) bool { return slices.Contains(m.Architectures, m.family.class+kind) }
