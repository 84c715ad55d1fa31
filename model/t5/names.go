package t5

// shared is the parameter that holds the tokens' embeddings.
const shared = "shared.weight"

// The names under which files repeat them.
const (
	encoderCopy = "encoder.embed_tokens.weight"
	decoderCopy = "decoder.embed_tokens.weight"
)

// strayBias lies in files that an old transformers wrote.
const strayBias = "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"

// Name returns the parameter that a tensor of a file holds.
func (m Model) Name(tensor string) string { return tensor }

// Tied returns the parameter that a tensor must be a copy of, or "".
func (m Model) Tied(tensor string) string {
	if tensor == encoderCopy || tensor == decoderCopy || m.TieWordEmbeddings && tensor == "lm_head.weight" {
		return shared
	}
	return ""
}

// StandIn returns the tensor that holds the embeddings in files without their own.
func (m Model) StandIn(parameter string) string {
	if parameter == shared {
		return decoderCopy
	}
	return ""
}

// Unused returns why a tensor of a file is no parameter, or "".
func (m Model) Unused(tensor string) string {
	if tensor == strayBias {
		return "left by an old transformers: attention to the encoder has no bias of positions"
	}
	return ""
}
