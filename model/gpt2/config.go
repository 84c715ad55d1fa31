// Package gpt2 is GPT-2 (Radford et al., 2019, "Language Models are Unsupervised
// Multitask Learners"), as Hugging Face's GPT2LMHeadModel and
// GPT2ForSequenceClassification compute it: its config.json, its graph, and the
// names in its files.
//
// The parameters are whatever the graph asks for; the package holds no list of
// them. A configuration that asks for something that is not built (cross-attention,
// several labels at once, an unknown activation) is refused by name.
package gpt2

import (
	"encoding/json"
	"fmt"
	"slices"

	"carillon/model/nn"
)

// Config is what of config.json decides the graph, in Hugging Face's words.
type Config struct {
	Architectures              []string `json:"architectures"`
	VocabSize                  int      `json:"vocab_size"`
	NPositions                 int      `json:"n_positions"`
	NEmbd                      int      `json:"n_embd"`
	NLayer                     int      `json:"n_layer"`
	NHead                      int      `json:"n_head"`
	NInner                     int      `json:"n_inner"` // 0 means 4 * n_embd
	ActivationFunction         string   `json:"activation_function"`
	LayerNormEpsilon           float64  `json:"layer_norm_epsilon"`
	InitializerRange           float64  `json:"initializer_range"`
	ScaleAttnWeights           bool     `json:"scale_attn_weights"`
	ScaleAttnByInverseLayerIdx bool     `json:"scale_attn_by_inverse_layer_idx"`
	AddCrossAttention          bool     `json:"add_cross_attention"`
	TieWordEmbeddings          bool     `json:"tie_word_embeddings"`
	Head
}

// ParseConfig reads config.json. What it leaves out has Hugging Face's default,
// sizes excepted, which must be there.
func ParseConfig(data []byte) (Config, error) {
	c := Config{
		ActivationFunction: "gelu_new", LayerNormEpsilon: 1e-5, InitializerRange: 0.02,
		ScaleAttnWeights: true, TieWordEmbeddings: true,
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, err
	}
	if c.NInner == 0 {
		c.NInner = 4 * c.NEmbd
	}
	return c, c.check()
}

func (c Config) check() error {
	sizes := []struct {
		key   string
		value int
	}{
		{"vocab_size", c.VocabSize}, {"n_positions", c.NPositions}, {"n_embd", c.NEmbd},
		{"n_layer", c.NLayer}, {"n_head", c.NHead}, {"n_inner", c.NInner},
	}
	for _, s := range sizes {
		if s.value < 1 || s.value > 1<<24 {
			return fmt.Errorf("%s is %d; it must be between 1 and %d", s.key, s.value, 1<<24)
		}
	}
	if c.NEmbd%c.NHead != 0 {
		return fmt.Errorf("n_embd %d is not a multiple of n_head %d", c.NEmbd, c.NHead)
	}
	if !(c.LayerNormEpsilon > 0 && c.LayerNormEpsilon < 1) {
		return fmt.Errorf("layer_norm_epsilon is %v; it must lie between 0 and 1", c.LayerNormEpsilon)
	}
	if c.AddCrossAttention {
		return fmt.Errorf("add_cross_attention is true; only a model of its own can be trained")
	}
	known := []string{"GPT2LMHeadModel", "GPT2Model", classifier}
	for _, a := range c.Architectures {
		if !slices.Contains(known, a) {
			return fmt.Errorf("architecture %q is not known for gpt2; known are %q", a, known)
		}
	}
	if slices.Contains(c.Architectures, classifier) {
		if err := c.Head.check(); err != nil {
			return err
		}
	}
	if _, err := nn.Activation(c.ActivationFunction); err != nil {
		return fmt.Errorf("activation_function: %w", err)
	}
	return nil
}
