package bert

import (
	"regexp"
	"strings"
)

var (
	bare = regexp.MustCompile(`^(embeddings|encoder|transformer|pooler)\.`)
	old  = strings.NewReplacer(".LayerNorm.gamma", ".LayerNorm.weight", ".LayerNorm.beta", ".LayerNorm.bias")
)

// Name returns the parameter that a tensor of a file holds: files of a model
// without a head leave its module's name out, and old ones call a norm's parameters
// gamma and beta.
func (m Model) Name(tensor string) string {
	if bare.MatchString(tensor) {
		tensor = m.family.root + "." + tensor
	}
	return old.Replace(tensor)
}

// Tied returns the parameter that a tensor must be a copy of, or "": files may hold
// the masked-LM head's output layer as well.
func (m Model) Tied(tensor string) string {
	f := m.family
	switch {
	case m.TieWordEmbeddings && tensor == f.decoder+".weight":
		return f.root + "." + wordEmbeddings + ".weight"
	case f.decoder != f.decoderBias && tensor == f.decoder+".bias":
		return f.decoderBias + ".bias"
	}
	return ""
}

// Unused returns the reason why no graph needs a tensor of a file, or "".
func (m Model) Unused(tensor string) string {
	for _, u := range m.family.unused {
		if u.names.MatchString(tensor) {
			return u.reason
		}
	}
	return ""
}
