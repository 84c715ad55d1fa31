package llama

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"
)

// parse reads a small config.json with changes to it; nil takes a field away.
func parse(t *testing.T, changes map[string]any) (Model, error) {
	t.Helper()
	fields := map[string]any{
		"model_type": "llama", "vocab_size": 256, "hidden_size": 32, "intermediate_size": 72, "num_hidden_layers": 4,
		"num_attention_heads": 4, "max_position_embeddings": 128,
	}
	for key, value := range changes {
		fields[key] = value
	}
	data, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return ParseConfig(data)
}

type fields = map[string]any

func TestWhatChangesTheMathematicsIsRefusedByName(t *testing.T) {
	for _, tt := range []struct {
		changes fields
		want    string // in the error
	}{
		{fields{"model_type": "phi"}, `model_type "phi"`},
		{fields{"hidden_act": "quick_gelu"}, "hidden_act"},
		{fields{"vocab_size": 0}, "vocab_size is 0"},
		{fields{"intermediate_size": -1}, "intermediate_size is -1"},
		{fields{"num_key_value_heads": 3}, "num_key_value_heads 3"},
		{fields{"num_attention_heads": 5}, "num_attention_heads 5"},
		{fields{"head_dim": 7}, "head_dim is 7"},
		{fields{"rms_norm_eps": 0}, "rms_norm_eps is 0"},
		{fields{"architectures": []string{"LlamaForTokenClassification"}}, "LlamaForTokenClassification"},
		{fields{"architectures": []string{"LlamaForSequenceClassification"}, "problem_type": "multi_label_classification"}, "problem_type"},
		{fields{"pretraining_tp": 2}, "pretraining_tp is 2"},
		{fields{"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5"},
		{fields{"quantization_config": fields{"bits": 4}}, "quantization_config"},
		{fields{"final_logit_softcapping": 30}, "final_logit_softcapping is 30"},
		{fields{"logit_scale": 0.25}, "logit_scale is 0.25"},
		{fields{"rope_theta": 0}, "rope_theta is 0"},
		{fields{"rope_scaling": fields{"type": "dynamic", "factor": 2}}, `rope_type "dynamic"`},
		{fields{"rope_scaling": fields{"rope_type": "yarn", "factor": 2}}, `rope_type "yarn"`},
		{fields{"rope_scaling": fields{"rope_type": "default", "mrope_section": []int{1, 2}}}, "mrope_section"},
		{fields{"rope_scaling": fields{"type": "linear"}}, "factor of rope_type linear is 0"},
		{fields{"rope_scaling": fields{"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 1, "original_max_position_embeddings": 64}}, "low_freq_factor 4"},
		{fields{"rope_parameters": fields{"full_attention": fields{}}}, "full_attention"},
		{fields{"rope_parameters": fields{"rope_theta": 1e4, "partial_rotary_factor": 0.5}}, "partial_rotary_factor is 0.5"},
		{fields{"rope_parameters": fields{"rope_theta": 1e4}, "rope_scaling": fields{"type": "linear", "factor": 2}}, "both"},
		{fields{"sliding_window": 8}, "sliding_window is 8; llama has none"},
		{fields{"model_type": "mistral", "num_key_value_heads": 2, "sliding_window": 0}, "sliding_window is 0"},
		{fields{"model_type": "qwen2", "num_key_value_heads": nil, "layer_types": []string{"full_attention"}}, "layer_types has 1"},
		{fields{"model_type": "qwen2", "num_key_value_heads": nil, "layer_types": slices.Repeat([]string{"sliding_attention"}, 4)}, "there is no sliding_window"},
		{fields{"model_type": "qwen3", "num_key_value_heads": nil, "layer_types": slices.Repeat([]string{"linear_attention"}, 4)}, "linear_attention"},
	} {
		if _, err := parse(t, tt.changes); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: error %v, want one with %q", tt.changes, err, tt.want)
		}
	}
}

func TestDefaultsAreTheFamilys(t *testing.T) {
	for _, tt := range []struct {
		changes                   fields
		kvHeads, headDim          int
		qkv, out, mlpBias, qkNorm bool
		windows                   []int
	}{
		{fields{}, 4, 8, false, false, false, false, []int{0, 0, 0, 0}},
		{fields{"num_key_value_heads": nil, "head_dim": nil, "attention_bias": true, "mlp_bias": true}, 4, 8, true, true, true, false, []int{0, 0, 0, 0}},
		{fields{"head_dim": 16, "pretraining_tp": 1, "rope_scaling": nil, "attention_dropout": 0.5}, 4, 16, false, false, false, false, []int{0, 0, 0, 0}},
		{fields{"model_type": "mistral", "num_attention_heads": 16}, 8, 2, false, false, false, false, []int{4096, 4096, 4096, 4096}},
		{fields{"model_type": "mistral", "num_key_value_heads": 2, "sliding_window": nil}, 2, 8, false, false, false, false, []int{0, 0, 0, 0}},
		{fields{"model_type": "qwen2", "num_key_value_heads": 2, "sliding_window": 8, "max_window_layers": 0}, 2, 8, true, false, false, false, []int{0, 0, 0, 0}},
		{fields{"model_type": "qwen2", "num_key_value_heads": 2, "use_sliding_window": true, "sliding_window": 8, "max_window_layers": 3}, 2, 8, true, false, false, false, []int{0, 0, 0, 8}},
		{fields{"model_type": "qwen3", "num_key_value_heads": 2}, 2, 128, false, false, false, true, []int{0, 0, 0, 0}},
		{fields{"model_type": "qwen3", "num_key_value_heads": 2, "attention_bias": true, "use_sliding_window": true, "layer_types": []string{"full_attention", "sliding_attention", "full_attention", "full_attention"}},
			2, 128, true, true, false, true, []int{0, 4096, 0, 0}},
	} {
		m, err := parse(t, tt.changes)
		if err != nil {
			t.Errorf("%v: %v", tt.changes, err)
			continue
		}
		if m.kvHeads != tt.kvHeads || m.headDim != tt.headDim || m.qkvBias != tt.qkv || m.outBias != tt.out || m.mlpBias != tt.mlpBias || m.qkNorm != tt.qkNorm || !slices.Equal(m.windows, tt.windows) {
			t.Errorf("%v: %d kv heads of %d, biases %v %v %v, norms %v, windows %v", tt.changes, m.kvHeads, m.headDim, m.qkvBias, m.outBias, m.mlpBias, m.qkNorm, m.windows)
		}
	}
}

func TestAnglesPerPosition(t *testing.T) {
	llama3 := fields{"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 256, "rope_type": "llama3"}
	for _, tt := range []struct {
		changes fields
		want    []float64
	}{
		{fields{}, []float64{1, 0.1, 0.01, 0.001}},
		{fields{"rope_parameters": fields{"rope_type": "default", "rope_theta": 1e8}}, []float64{1, 0.01, 1e-4, 1e-6}},
		{fields{"rope_scaling": fields{"type": "linear", "factor": 4.0}}, []float64{0.25, 0.025, 0.0025, 0.00025}},
		// 256 tokens are 40.7, 4.07, 0.407 and 0.0407 waves: the first two are short, the others long.
		{fields{"rope_scaling": llama3}, []float64{1, 0.1, 0.01 / 8, 0.001 / 8}},
		// At theta 1e5 the second is 2.29 waves: (2.29-1)/3 of it stays.
		{fields{"rope_scaling": llama3, "rope_theta": 1e5}, []float64{1, 0.05623413 * (0.43039 + 0.56961/8), 0.00316228 / 8, 0.000177828 / 8}},
	} {
		m, err := parse(t, tt.changes)
		if err != nil {
			t.Errorf("%v: %v", tt.changes, err)
			continue
		}
		for i, want := range tt.want {
			if d := math.Abs(m.frequencies[i]/want - 1); d > 1e-4 {
				t.Errorf("%v: angle %d is %v, want %v", tt.changes, i, m.frequencies[i], want)
			}
		}
	}
}

func TestNamesInFiles(t *testing.T) {
	m, err := parse(t, fields{"tie_word_embeddings": true})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ tensor, name, tied string }{
		{"model.layers.0.self_attn.q_proj.weight", "model.layers.0.self_attn.q_proj.weight", ""},
		{"layers.0.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight", ""},
		{"norm.weight", "model.norm.weight", ""},
		{"lm_head.weight", "lm_head.weight", "model.embed_tokens.weight"},
		{"model.layers.3.self_attn.rotary_emb.inv_freq", "", ""},
		{"score.weight", "score.weight", ""},
	} {
		if name, tied := m.Name(tt.tensor), m.Tied(tt.tensor); name != tt.name || tied != tt.tied {
			t.Errorf("%s: parameter %q, tied to %q; want %q and %q", tt.tensor, name, tied, tt.name, tt.tied)
		}
		if unused := m.Unused(tt.tensor) != ""; unused != (tt.name == "") {
			t.Errorf("%s: not used: %v", tt.tensor, unused)
		}
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add(`{"model_type":"llama","vocab_size":256,"hidden_size":32,"intermediate_size":72,"num_hidden_layers":2,"num_attention_heads":4,"max_position_embeddings":128}`)
	f.Add(`{"model_type":"qwen3","rope_scaling":{"type":"llama3"},"head_dim":null}`)
	f.Fuzz(func(t *testing.T, config string) {
		m, err := ParseConfig([]byte(config))
		if err == nil && (m.NumAttentionHeads%m.kvHeads != 0 || len(m.frequencies) != m.headDim/2 || len(m.windows) != m.NumHiddenLayers) {
			t.Errorf("%s was read as %+v", config, m)
		}
	})
}
