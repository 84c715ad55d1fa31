package llama

import "regexp"

// embeddings is the parameter that holds the tokens' embeddings.
const embeddings = "model.embed_tokens.weight"

var (
	unprefixed = regexp.MustCompile(`^(embed_tokens|layers|norm)\.`)
	inverse    = regexp.MustCompile(`^model\.layers\.\d+\.self_attn\.rotary_emb\.inv_freq$`)
)

// Name returns the parameter that a tensor of a file holds: files of the bare
// model leave the prefix "model." out. It returns "" for a tensor that is none.
func (m Model) Name(tensor string) string {
	if unprefixed.MatchString(tensor) {
		tensor = "model." + tensor
	}
	if m.Unused(tensor) != "" {
		return ""
	}
	return tensor
}

// Unused returns why a tensor of a file is not used, or "".
func (m Model) Unused(tensor string) string {
	if inverse.MatchString(tensor) || inverse.MatchString("model."+tensor) {
		return "the angles of rotary positions follow from config.json"
	}
	return ""
}

// Tied returns the parameter that a tensor must be a copy of, or "": files of a
// tied model may hold the head as well.
func (m Model) Tied(tensor string) string {
	if m.TieWordEmbeddings && tensor == "lm_head.weight" {
		return embeddings
	}
	return ""
}
