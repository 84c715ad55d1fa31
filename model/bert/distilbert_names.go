package bert

import . "github.com/gomlx/gomlx/core/graph"

// distilbert is a BERT of half the layers (Sanh et al., 2019,
// https://arxiv.org/abs/1910.01108), without token types and pooler.
var distilbert = family{
	class: "DistilBert", root: "distilbert",
	layers: "transformer.layer",
	query:  "attention.q_lin", key: "attention.k_lin", value: "attention.v_lin",
	output: "attention.out_lin", attentionNorm: "sa_layer_norm", attentionBottleneck: "attention_adapters",
	up: "ffn.lin1", down: "ffn.lin2", norm: "output_layer_norm", bottleneck: "output_adapters",
	dense: "pre_classifier", activation: relu, classifier: "classifier",
	transform: "vocab_transform", transformNorm: "vocab_layer_norm",
	decoder: "vocab_projector", decoderBias: "vocab_projector",
	unused: []unused{positionIDs},
}

func relu(x *Node) *Node { return activate("relu", x) }
