package bert

import (
	"encoding/json"
	"fmt"
	"slices"

	"carillon/model/nn"
)

// Config is what of config.json decides the graph, in BERT's words. DistilBERT has
// others for some of them (distilKeys).
type Config struct {
	ModelType             string           `json:"model_type"`
	Architectures         []string         `json:"architectures"`
	VocabSize             int              `json:"vocab_size"`
	HiddenSize            int              `json:"hidden_size"`
	NumHiddenLayers       int              `json:"num_hidden_layers"`
	NumAttentionHeads     int              `json:"num_attention_heads"`
	IntermediateSize      int              `json:"intermediate_size"`
	HiddenAct             string           `json:"hidden_act"`
	MaxPositionEmbeddings int              `json:"max_position_embeddings"`
	TypeVocabSize         int              `json:"type_vocab_size"` // 0: tokens have no types
	LayerNormEps          float64          `json:"layer_norm_eps"`
	InitializerRange      float64          `json:"initializer_range"`
	PadTokenID            int              `json:"pad_token_id"`
	TieWordEmbeddings     bool             `json:"tie_word_embeddings"`
	PositionEmbeddingType string           `json:"position_embedding_type"`
	IsDecoder             bool             `json:"is_decoder"`
	IsEncoderDecoder      bool             `json:"is_encoder_decoder"`
	AddCrossAttention     bool             `json:"add_cross_attention"`
	SinusoidalPosEmbds    bool             `json:"sinusoidal_pos_embds"`
	PrunedHeads           map[string][]int `json:"pruned_heads"`
	nn.Head
}

// distilKeys are DistilBERT's names of BERT's keys.
var distilKeys = map[string]string{
	"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads",
	"intermediate_size": "hidden_dim", "hidden_act": "activation",
}

// ParseConfig reads the config.json of a BERT, a RoBERTa or a DistilBERT. What it
// leaves out has Hugging Face's default, sizes excepted, which must be there.
func ParseConfig(data []byte) (Model, error) {
	m := Model{Config: Config{
		HiddenAct: "gelu", TypeVocabSize: 2, LayerNormEps: 1e-12, InitializerRange: 0.02,
		TieWordEmbeddings: true, PositionEmbeddingType: "absolute", PadTokenID: -1,
	}}
	if err := json.Unmarshal(data, &m.Config); err != nil {
		return m, err
	}
	f, ok := families[m.ModelType]
	if !ok {
		return m, fmt.Errorf("model_type %q is none of the BERT family", m.ModelType)
	}
	m.family = f
	if m.PadTokenID < 0 {
		m.PadTokenID = f.pad
	}
	if !f.types {
		if err := m.readDistil(data); err != nil {
			return m, err
		}
	}
	return m, m.check()
}

// readDistil reads what DistilBERT calls by other names. It has no token types, and
// its norms' epsilon is no key.
func (m *Model) readDistil(data []byte) error {
	m.TypeVocabSize, m.LayerNormEps = 0, 1e-12
	return json.Unmarshal(data, &struct {
		Dim        *int    `json:"dim"`
		NLayers    *int    `json:"n_layers"`
		NHeads     *int    `json:"n_heads"`
		HiddenDim  *int    `json:"hidden_dim"`
		Activation *string `json:"activation"`
	}{&m.HiddenSize, &m.NumHiddenLayers, &m.NumAttentionHeads, &m.IntermediateSize, &m.HiddenAct})
}

// key returns what the file calls one of BERT's keys.
func (m Model) key(name string) string {
	if other, ok := distilKeys[name]; ok && !m.family.types {
		return other
	}
	return name
}

func (m Model) check() error {
	if m.PadTokenID >= max(m.VocabSize, 1) {
		return fmt.Errorf("pad_token_id %d is not in the vocabulary of %d", m.PadTokenID, m.VocabSize)
	}
	if err := m.checkSizes(); err != nil {
		return err
	}
	if !(m.LayerNormEps > 0 && m.LayerNormEps < 1) {
		return fmt.Errorf("layer_norm_eps is %v; it must lie between 0 and 1", m.LayerNormEps)
	}
	if err := m.checkKind(); err != nil {
		return err
	}
	for _, a := range m.Architectures {
		if known := m.family.classes(); !slices.Contains(known, a) {
			return fmt.Errorf("architecture %q is not known for %s; known are %q", a, m.ModelType, known)
		}
	}
	if m.has(classifier) {
		if err := m.Head.Check(); err != nil {
			return err
		}
	}
	if _, err := nn.Activation(m.HiddenAct); err != nil {
		return fmt.Errorf("%s: %w", m.key("hidden_act"), err)
	}
	return nil
}

func (m Model) checkSizes() error {
	types := 0
	if m.family.types {
		types = 1
	}
	for _, s := range []struct {
		key         string
		value, from int
	}{
		{"vocab_size", m.VocabSize, 1}, {"max_position_embeddings", m.MaxPositionEmbeddings, m.firstPosition() + 1},
		{"hidden_size", m.HiddenSize, 1}, {"num_hidden_layers", m.NumHiddenLayers, 1},
		{"num_attention_heads", m.NumAttentionHeads, 1}, {"intermediate_size", m.IntermediateSize, 1},
		{"type_vocab_size", m.TypeVocabSize, types},
	} {
		if s.value < s.from || s.value > 1<<24 {
			return fmt.Errorf("%s is %d; it must be between %d and %d", m.key(s.key), s.value, s.from, 1<<24)
		}
	}
	if m.HiddenSize%m.NumAttentionHeads != 0 {
		return fmt.Errorf("%s %d is not a multiple of %s %d", m.key("hidden_size"), m.HiddenSize, m.key("num_attention_heads"), m.NumAttentionHeads)
	}
	return nil
}

// checkKind refuses what would make another model of it.
func (m Model) checkKind() error {
	switch {
	case m.PositionEmbeddingType != "absolute":
		return fmt.Errorf("position_embedding_type is %q; only absolute positions are built", m.PositionEmbeddingType)
	case m.IsDecoder:
		return fmt.Errorf("is_decoder is true; only encoders of this family are built")
	case m.IsEncoderDecoder:
		return fmt.Errorf("is_encoder_decoder is true; only encoders of this family are built")
	case m.AddCrossAttention:
		return fmt.Errorf("add_cross_attention is true; only a model of its own can be trained")
	case m.SinusoidalPosEmbds:
		return fmt.Errorf("sinusoidal_pos_embds is true; only learnt positions are built")
	case len(m.PrunedHeads) > 0:
		return fmt.Errorf("pruned_heads names layers; only whole layers are built")
	}
	return nil
}
