package bert

import (
	"regexp"

	. "github.com/gomlx/gomlx/core/graph"
)

// roberta is BERT trained longer (Liu et al., 2019, https://arxiv.org/abs/1907.11692).
// Positions start behind the padding's id, and the classifier has a hidden layer of
// its own instead of the pooler.
var roberta = family{
	class: "Roberta", root: "roberta", types: true, pad: 1, after: true,
	layers: bert.layers,
	query:  bert.query, key: bert.key, value: bert.value,
	output: bert.output, attentionNorm: bert.attentionNorm, attentionBottleneck: bert.attentionBottleneck,
	up: bert.up, down: bert.down, norm: bert.norm, bottleneck: bert.bottleneck,
	dense: "classifier.dense", activation: Tanh, classifier: "classifier.out_proj",
	transform: "lm_head.dense", transformNorm: "lm_head.layer_norm", lmActivation: "gelu",
	decoder: "lm_head.decoder", decoderBias: "lm_head",
	unused: []unused{positionIDs, {
		regexp.MustCompile(`^(roberta\.)?pooler\.`), "no head of this family looks at the pooler",
	}},
}
