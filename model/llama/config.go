// Package llama is Llama (Touvron et al., 2023, https://arxiv.org/abs/2302.13971)
// and the models that are built like it: Llama 3, Mistral, Qwen2 and Qwen3, as
// Hugging Face's classes ForCausalLM and ForSequenceClassification compute them:
// their config.json, their graph, and the names in their files.
//
// They are one graph. What differs (biases, norms of queries and keys, sliding
// windows, the angles of rotary positions) is decided once, when config.json is
// read. A field that asks for something else than what is built is refused by name.
package llama

import (
	"encoding/json"
	"fmt"
	"slices"

	"carillon/model/nn"
)

// Config is what of config.json decides the graph, in Hugging Face's words. A
// pointer is nil where the file says null; where it says nothing, the value is
// the default of the family.
type Config struct {
	ModelType             string   `json:"model_type"`
	Architectures         []string `json:"architectures"`
	VocabSize             int      `json:"vocab_size"`
	HiddenSize            int      `json:"hidden_size"`
	IntermediateSize      int      `json:"intermediate_size"`
	NumHiddenLayers       int      `json:"num_hidden_layers"`
	NumAttentionHeads     int      `json:"num_attention_heads"`
	NumKeyValueHeads      *int     `json:"num_key_value_heads"` // nil: as many as num_attention_heads
	HeadDim               *int     `json:"head_dim"`            // nil: hidden_size / num_attention_heads
	HiddenAct             string   `json:"hidden_act"`
	MaxPositionEmbeddings int      `json:"max_position_embeddings"`
	InitializerRange      float64  `json:"initializer_range"`
	RMSNormEps            float64  `json:"rms_norm_eps"`
	TieWordEmbeddings     bool     `json:"tie_word_embeddings"`
	AttentionBias         bool     `json:"attention_bias"` // llama, qwen3: q, k, v and o
	MLPBias               bool     `json:"mlp_bias"`       // llama
	SlidingWindow         *int     `json:"sliding_window"` // nil: none
	UseSlidingWindow      bool     `json:"use_sliding_window"`
	MaxWindowLayers       int      `json:"max_window_layers"`
	LayerTypes            []string `json:"layer_types"`
	RopeTheta             float64  `json:"rope_theta"`
	RopeScaling           *rope    `json:"rope_scaling"`
	RopeParameters        *rope    `json:"rope_parameters"` // transformers 5: both in one
	nn.Head
}

// kind is what sets a model_type apart from the others.
type kind struct {
	class    string // begins the names of its classes in transformers
	kvHeads  int    // what num_key_value_heads is where it is left out; 0: null
	headDim  int    // the same of head_dim
	window   int    // the same of sliding_window
	switched bool   // use_sliding_window says whether there is one
	biased   bool   // attention_bias and mlp_bias are fields of it
	qkvBias  bool   // q, k and v have biases whatever config.json says
	qkNorm   bool   // queries and keys are normalized, head by head
}

var kinds = map[string]kind{
	"llama":   {class: "Llama", biased: true},
	"mistral": {class: "Mistral", kvHeads: 8, window: 4096},
	"qwen2":   {class: "Qwen2", kvHeads: 32, window: 4096, switched: true, qkvBias: true},
	"qwen3":   {class: "Qwen3", kvHeads: 32, headDim: 128, window: 4096, switched: true, biased: true, qkNorm: true},
}

// ParseConfig reads config.json. What it leaves out has Hugging Face's default,
// sizes excepted, which must be there.
func ParseConfig(data []byte) (Model, error) {
	var head struct {
		ModelType string `json:"model_type"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return Model{}, err
	}
	k, ok := kinds[head.ModelType]
	if !ok {
		return Model{}, fmt.Errorf("model_type %q is none of llama, mistral, qwen2 and qwen3", head.ModelType)
	}
	c := Config{
		NumKeyValueHeads: unlessZero(k.kvHeads), HeadDim: unlessZero(k.headDim), SlidingWindow: unlessZero(k.window), MaxWindowLayers: 28,
		HiddenAct: "silu", InitializerRange: 0.02, RMSNormEps: 1e-6, RopeTheta: 10000,
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return Model{}, err
	}
	if err := c.check(k); err != nil {
		return Model{}, err
	}
	if err := checkForeign(data); err != nil {
		return Model{}, err
	}
	return newModel(c, k)
}

// unlessZero returns a number of its own, which reading a file may write over.
func unlessZero(n int) *int {
	if n == 0 {
		return nil
	}
	return &n
}

// newModel decides what the graph asks of a configuration that has been checked.
func newModel(c Config, k kind) (m Model, err error) {
	m = Model{
		Config: c, kvHeads: c.NumAttentionHeads, headDim: c.HiddenSize / c.NumAttentionHeads, qkNorm: k.qkNorm,
		qkvBias: k.qkvBias || k.biased && c.AttentionBias, outBias: k.biased && c.AttentionBias, mlpBias: k.class == "Llama" && c.MLPBias,
	}
	if c.NumKeyValueHeads != nil {
		m.kvHeads = *c.NumKeyValueHeads
	}
	if c.HeadDim != nil {
		m.headDim = *c.HeadDim
	}
	if err := m.checkHeads(); err != nil {
		return m, err
	}
	if m.windows, err = c.windowsOf(k); err != nil {
		return m, err
	}
	m.frequencies, err = c.rotation(m.headDim)
	return m, err
}

func (m Model) checkHeads() error {
	switch {
	case m.kvHeads < 1 || m.NumAttentionHeads%m.kvHeads != 0:
		return fmt.Errorf("num_attention_heads %d is not a multiple of num_key_value_heads %d", m.NumAttentionHeads, m.kvHeads)
	case m.headDim < 2 || m.headDim%2 != 0 || m.headDim > 1<<16:
		return fmt.Errorf("head_dim is %d; it must be an even number between 2 and %d", m.headDim, 1<<16)
	case m.HeadDim == nil && m.HiddenSize%m.NumAttentionHeads != 0:
		return fmt.Errorf("hidden_size %d is not a multiple of num_attention_heads %d", m.HiddenSize, m.NumAttentionHeads)
	}
	return nil
}

// classes are the names of the classes that are built, without the family's.
const (
	causal     = "ForCausalLM"
	bare       = "Model"
	classifier = "ForSequenceClassification"
)

func (c Config) check(k kind) error {
	sizes := []struct {
		key         string
		value, most int
	}{
		{"vocab_size", c.VocabSize, 1 << 24}, {"hidden_size", c.HiddenSize, 1 << 24}, {"intermediate_size", c.IntermediateSize, 1 << 24},
		{"num_hidden_layers", c.NumHiddenLayers, 1 << 12}, {"num_attention_heads", c.NumAttentionHeads, 1 << 12},
		{"max_position_embeddings", c.MaxPositionEmbeddings, 1 << 22},
	}
	for _, s := range sizes {
		if s.value < 1 || s.value > s.most {
			return fmt.Errorf("%s is %d; it must be between 1 and %d", s.key, s.value, s.most)
		}
	}
	if !(c.RMSNormEps > 0 && c.RMSNormEps < 1) {
		return fmt.Errorf("rms_norm_eps is %v; it must lie between 0 and 1", c.RMSNormEps)
	}
	if _, err := nn.Activation(c.HiddenAct); err != nil {
		return fmt.Errorf("hidden_act: %w", err)
	}
	known := []string{k.class + causal, k.class + bare, k.class + classifier}
	for _, a := range c.Architectures {
		if !slices.Contains(known, a) {
			return fmt.Errorf("architecture %q is not known for %s; known are %q", a, c.ModelType, known)
		}
	}
	if slices.Contains(c.Architectures, k.class+classifier) {
		return c.Head.Check()
	}
	return nil
}

// windowsOf returns how many keys each layer's tokens see, 0 for all.
func (c Config) windowsOf(k kind) ([]int, error) {
	windows := make([]int, c.NumHiddenLayers)
	if k.switched && !c.UseSlidingWindow {
		c.SlidingWindow = nil
	}
	if c.SlidingWindow != nil && (k.window == 0 || *c.SlidingWindow < 1) {
		return nil, fmt.Errorf("sliding_window is %d; %s has none, or one of at least 1", *c.SlidingWindow, c.ModelType)
	}
	if c.LayerTypes != nil && len(c.LayerTypes) != len(windows) {
		return nil, fmt.Errorf("layer_types has %d entries for %d layers", len(c.LayerTypes), len(windows))
	}
	for i := range windows {
		slides := c.SlidingWindow != nil && (!k.switched || i >= c.MaxWindowLayers)
		if c.LayerTypes != nil {
			switch slides = c.LayerTypes[i] == "sliding_attention"; {
			case slides && c.SlidingWindow == nil:
				return nil, fmt.Errorf("layer_types has sliding_attention, and there is no sliding_window")
			case !slides && c.LayerTypes[i] != "full_attention":
				return nil, fmt.Errorf("layer_types has %q; built are full_attention and sliding_attention", c.LayerTypes[i])
			}
		}
		if slides {
			windows[i] = *c.SlidingWindow
		}
	}
	return windows, nil
}
