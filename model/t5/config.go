// Package t5 is T5 (Raffel et al., 2020, "Exploring the Limits of Transfer Learning
// with a Unified Text-to-Text Transformer", https://arxiv.org/abs/1910.10683), as
// Hugging Face's T5ForConditionalGeneration computes it: the first version and
// version 1.1 (FLAN-T5 is such a one), their config.json, graph and names.
//
// An encoder reads the source; a decoder, whose tokens see those before them and all
// of the source, writes the target. Where a token stands is told by a bias on the
// scores alone, by the distance between two tokens; so no length is the longest.
// Norms have no mean and no bias, scores are not scaled.
//
// A configuration that asks for something that is not built is refused by name.
package t5

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"carillon/model/nn"
)

// Config is what of config.json decides the graph, in Hugging Face's words.
type Config struct {
	Architectures       []string `json:"architectures"`
	VocabSize           int      `json:"vocab_size"`
	DModel              int      `json:"d_model"`
	DKV                 int      `json:"d_kv"` // of each head
	DFF                 int      `json:"d_ff"`
	NumLayers           int      `json:"num_layers"`         // of the encoder
	NumDecoderLayers    int      `json:"num_decoder_layers"` // 0 means num_layers
	NumHeads            int      `json:"num_heads"`
	Buckets             int      `json:"relative_attention_num_buckets"`
	MaxDistance         int      `json:"relative_attention_max_distance"`
	LayerNormEpsilon    float64  `json:"layer_norm_epsilon"`
	InitializerFactor   float64  `json:"initializer_factor"`
	FeedForwardProj     string   `json:"feed_forward_proj"`
	DenseActFn          string   `json:"dense_act_fn"` // follows from feed_forward_proj
	IsGatedAct          *bool    `json:"is_gated_act"` // so does this
	TieWordEmbeddings   bool     `json:"tie_word_embeddings"`
	DecoderStartTokenID *int     `json:"decoder_start_token_id"`
	PadTokenID          int      `json:"pad_token_id"`
	IsEncoderDecoder    bool     `json:"is_encoder_decoder"`
	activation          string
	gated               bool
}

// ParseConfig reads config.json. What it leaves out has Hugging Face's default,
// sizes excepted, which must be there.
func ParseConfig(data []byte) (Model, error) {
	c := Config{
		Buckets: 32, MaxDistance: 128, LayerNormEpsilon: 1e-6, InitializerFactor: 1,
		FeedForwardProj: "relu", TieWordEmbeddings: true, IsEncoderDecoder: true,
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return Model{}, err
	}
	if c.NumDecoderLayers == 0 {
		c.NumDecoderLayers = c.NumLayers
	}
	if err := c.check(); err != nil {
		return Model{}, err
	}
	if err := c.feedForward(); err != nil {
		return Model{}, err
	}
	return Model{c}, checkForeign(data)
}

// classes are those that are built; the last is an old name of the first.
var classes = []string{"T5ForConditionalGeneration", bare, "T5WithLMHeadModel"}

const bare = "T5Model"

func (c Config) check() error {
	sizes := []struct {
		key          string
		value, least int
	}{
		{"vocab_size", c.VocabSize, 1}, {"d_model", c.DModel, 1}, {"d_kv", c.DKV, 1}, {"d_ff", c.DFF, 1}, {"num_layers", c.NumLayers, 1},
		{"num_decoder_layers", c.NumDecoderLayers, 1}, {"num_heads", c.NumHeads, 1},
		{"relative_attention_num_buckets", c.Buckets, 4}, {"relative_attention_max_distance", c.MaxDistance, c.Buckets/2 + 1},
	}
	for _, s := range sizes {
		if s.value < s.least || s.value > 1<<24 {
			return fmt.Errorf("%s is %d; it must be between %d and %d", s.key, s.value, s.least, 1<<24)
		}
	}
	switch {
	case c.Buckets%4 != 0:
		return fmt.Errorf("relative_attention_num_buckets is %d; it must be a multiple of 4", c.Buckets)
	case !(c.LayerNormEpsilon > 0 && c.LayerNormEpsilon < 1):
		return fmt.Errorf("layer_norm_epsilon is %v; it must lie between 0 and 1", c.LayerNormEpsilon)
	case c.start() < 0 || c.start() >= c.VocabSize:
		return fmt.Errorf("decoder_start_token_id is %d (where it is not set, pad_token_id); it must be a token below vocab_size %d", c.start(), c.VocabSize)
	case !c.IsEncoderDecoder:
		return fmt.Errorf("is_encoder_decoder is false; only an encoder with a decoder is built")
	}
	for _, a := range c.Architectures {
		if !slices.Contains(classes, a) {
			return fmt.Errorf("architecture %q is not known for t5; known are %q", a, classes)
		}
	}
	return nil
}

// start is the token that a decoder begins with.
func (c Config) start() int {
	if c.DecoderStartTokenID != nil {
		return *c.DecoderStartTokenID
	}
	return c.PadTokenID
}

// feedForward reads feed_forward_proj: an activation, or gated- and one. gated-gelu
// means GELU's tanh form, as the first files with it were made.
func (c *Config) feedForward() error {
	name, gated := strings.CutPrefix(c.FeedForwardProj, "gated-")
	if gated && name == "gelu" {
		name = "gelu_new"
	}
	if _, err := nn.Activation(name); err != nil {
		return fmt.Errorf("feed_forward_proj: %w", err)
	}
	if c.DenseActFn != "" && c.DenseActFn != name {
		return fmt.Errorf("dense_act_fn is %q, and feed_forward_proj %q means %q", c.DenseActFn, c.FeedForwardProj, name)
	}
	if c.IsGatedAct != nil && *c.IsGatedAct != gated {
		return fmt.Errorf("is_gated_act is %v, and feed_forward_proj is %q", *c.IsGatedAct, c.FeedForwardProj)
	}
	c.activation, c.gated = name, gated
	return nil
}

// foreign are fields that models of other families, and other programs, add to a
// config.json to change what is computed. All are left alone where they are null,
// false, 0, "" or empty.
var foreign = []string{
	"encoder_attention_type", "global_block_size", "local_radius", "is_decoder", "num_experts", "pruned_heads",
	"quantization_config", "scalable_attention", "sparse_step",
}

// checkForeign refuses fields that would change what is computed.
func checkForeign(data []byte) error {
	var fields map[string]any
	if err := json.Unmarshal(data, &fields); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		text, err := json.Marshal(fields[key])
		if err != nil {
			return err
		}
		if slices.Contains(foreign, key) && !slices.Contains([]string{"null", "false", "0", `""`, "[]", "{}"}, string(text)) {
			return fmt.Errorf("%s is %s; that is not built", key, text)
		}
	}
	return nil
}
