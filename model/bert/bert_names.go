package bert

import (
	"regexp"

	. "github.com/gomlx/gomlx/core/graph"
)

// bert is the original (Devlin et al., 2018, https://arxiv.org/abs/1810.04805). Its
// classifiers see the pooler's output.
var bert = family{
	class: "Bert", root: "bert", types: true,
	layers: "encoder.layer",
	query:  "attention.self.query", key: "attention.self.key", value: "attention.self.value",
	output: "attention.output.dense", attentionNorm: "attention.output.LayerNorm", attentionBottleneck: "attention.output",
	up: "intermediate.dense", down: "output.dense", norm: "output.LayerNorm", bottleneck: "output",
	pooler: "bert.pooler.dense", activation: Tanh, classifier: "classifier",
	transform: "cls.predictions.transform.dense", transformNorm: "cls.predictions.transform.LayerNorm",
	decoder: "cls.predictions.decoder", decoderBias: "cls.predictions",
	unused: []unused{positionIDs, {
		regexp.MustCompile(`^cls\.seq_relationship\.`), "the head that guesses whether a sentence follows another, for pretraining alone",
	}},
}
