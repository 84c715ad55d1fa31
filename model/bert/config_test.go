package bert

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// parse reads a small configuration of a family with further keys.
func parse(kind, more string) (Model, error) {
	sizes := `"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16`
	if kind == "distilbert" {
		sizes = `"dim": 8, "n_layers": 1, "n_heads": 2, "hidden_dim": 16`
	}
	config := fmt.Sprintf(`{"model_type": %q, "vocab_size": 10, "max_position_embeddings": 7, %s`, kind, sizes)
	if more != "" {
		config += ", " + more
	}
	return ParseConfig([]byte(config + "}"))
}

// What would change the numbers and is not built is refused by its name.
func TestConfigsThatAreNotBuiltAreRefused(t *testing.T) {
	for _, tt := range []struct{ kind, more, want string }{
		{"bert", `"hidden_act": "mish"`, `hidden_act: activation "mish" is not known`},
		{"distilbert", `"activation": "mish"`, `activation: activation "mish" is not known`},
		{"bert", `"position_embedding_type": "relative_key"`, `position_embedding_type is "relative_key"`},
		{"bert", `"is_decoder": true`, "is_decoder is true"},
		{"roberta", `"add_cross_attention": true`, "add_cross_attention is true"},
		{"bert", `"is_encoder_decoder": true`, "is_encoder_decoder is true"},
		{"distilbert", `"sinusoidal_pos_embds": true`, "sinusoidal_pos_embds is true"},
		{"bert", `"pruned_heads": {"0": [1]}`, "pruned_heads names layers"},
		{"bert", `"layer_norm_eps": 0`, "layer_norm_eps is 0"},
		{"bert", `"type_vocab_size": 0`, "type_vocab_size is 0"},
		{"bert", `"num_attention_heads": 3`, "hidden_size 8 is not a multiple of num_attention_heads 3"},
		{"distilbert", `"n_heads": 3`, "dim 8 is not a multiple of n_heads 3"},
		{"distilbert", `"hidden_dim": -1`, "hidden_dim is -1"},
		{"roberta", `"max_position_embeddings": 2`, "max_position_embeddings is 2; it must be between 3"},
		{"roberta", `"pad_token_id": 10`, "pad_token_id 10 is not in the vocabulary of 10"},
		{"bert", `"architectures": ["BertForQuestionAnswering"]`, `architecture "BertForQuestionAnswering" is not known for bert`},
		{"roberta", `"architectures": ["BertForMaskedLM"]`, `architecture "BertForMaskedLM" is not known for roberta`},
		{"bert", `"architectures": ["BertForSequenceClassification"], "problem_type": "multi_label_classification"`, "problem_type"},
		{"electra", "", `model_type "electra"`},
	} {
		if _, err := parse(tt.kind, tt.more); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s with %s: %v; want %s", tt.kind, tt.more, err, tt.want)
		}
	}
	if _, err := ParseConfig([]byte("[]")); err == nil {
		t.Error("a list is taken for a configuration")
	}
}

func TestConfigsHaveTheDefaultsOfTransformers(t *testing.T) {
	for _, tt := range []struct {
		kind, more     string
		context, first int
		types          int
		bare           bool
		classes        []string
	}{
		{"bert", "", 7, 0, 2, true, nil},
		{"bert", `"architectures": ["BertForPreTraining"]`, 7, 0, 2, false, nil},
		{"roberta", `"type_vocab_size": 1, "architectures": ["RobertaForMaskedLM"]`, 5, 2, 1, false, nil},
		{"roberta", `"pad_token_id": 0, "architectures": ["RobertaModel"]`, 6, 1, 2, true, nil},
		{"distilbert", `"architectures": ["DistilBertForSequenceClassification"]`, 7, 0, 0, false, []string{"LABEL_0", "LABEL_1"}},
		{"bert", `"architectures": ["BertForSequenceClassification"], "id2label": {"0": "bad", "1": "good", "2": "odd"}`, 7, 0, 2, false, []string{"bad", "good", "odd"}},
		{"bert", `"architectures": ["BertForSequenceClassification"], "num_labels": 1, "problem_type": "regression"`, 7, 0, 2, false, []string{"LABEL_0"}},
	} {
		m, err := parse(tt.kind, tt.more)
		if err != nil {
			t.Errorf("%s with %s: %v", tt.kind, tt.more, err)
			continue
		}
		if m.Context() != tt.context || m.firstPosition() != tt.first || m.TypeVocabSize != tt.types || m.Bare() != tt.bare || !slices.Equal(m.Classes(), tt.classes) {
			t.Errorf("%s with %s: context %d, positions from %d, %d types, bare %v, classes %q; want %+v",
				tt.kind, tt.more, m.Context(), m.firstPosition(), m.TypeVocabSize, m.Bare(), m.Classes(), tt)
		}
	}
}

func TestNamesInFiles(t *testing.T) {
	const words = ".embeddings.word_embeddings.weight"
	for _, tt := range []struct{ kind, tensor, name, tied, unused string }{
		{"bert", "bert.pooler.dense.weight", "bert.pooler.dense.weight", "", ""},
		{"bert", "pooler.dense.weight", "bert.pooler.dense.weight", "", ""},
		{"bert", "encoder.layer.0.output.LayerNorm.gamma", "bert.encoder.layer.0.output.LayerNorm.weight", "", ""},
		{"bert", "bert.embeddings.LayerNorm.beta", "bert.embeddings.LayerNorm.bias", "", ""},
		{"bert", "cls.predictions.transform.LayerNorm.beta", "cls.predictions.transform.LayerNorm.bias", "", ""},
		{"bert", "cls.predictions.decoder.weight", "cls.predictions.decoder.weight", "bert" + words, ""},
		{"bert", "cls.predictions.decoder.bias", "cls.predictions.decoder.bias", "cls.predictions.bias", ""},
		{"bert", "cls.seq_relationship.weight", "cls.seq_relationship.weight", "", "pretraining"},
		{"bert", "embeddings.position_ids", "bert.embeddings.position_ids", "", "buffer"},
		{"roberta", "roberta.embeddings.position_ids", "roberta.embeddings.position_ids", "", "buffer"},
		{"roberta", "lm_head.decoder.weight", "lm_head.decoder.weight", "roberta" + words, ""},
		{"roberta", "lm_head.decoder.bias", "lm_head.decoder.bias", "lm_head.bias", ""},
		{"roberta", "lm_head.bias", "lm_head.bias", "", ""},
		{"roberta", "roberta.pooler.dense.bias", "roberta.pooler.dense.bias", "", "pooler"},
		{"roberta", "pooler.dense.bias", "roberta.pooler.dense.bias", "", "pooler"},
		{"distilbert", "transformer.layer.0.ffn.lin1.bias", "distilbert.transformer.layer.0.ffn.lin1.bias", "", ""},
		{"distilbert", "vocab_projector.weight", "vocab_projector.weight", "distilbert" + words, ""},
		{"distilbert", "vocab_projector.bias", "vocab_projector.bias", "", ""},
	} {
		m, err := parse(tt.kind, "")
		if err != nil {
			t.Fatal(err)
		}
		unused := m.Unused(tt.tensor)
		if m.Name(tt.tensor) != tt.name || m.Tied(tt.tensor) != tt.tied || !strings.Contains(unused, tt.unused) || (unused == "") != (tt.unused == "") {
			t.Errorf("%s of %s: name %q, tied %q, unused %q; want %+v", tt.tensor, tt.kind, m.Name(tt.tensor), m.Tied(tt.tensor), unused, tt)
		}
	}
	m, err := parse("bert", `"tie_word_embeddings": false`)
	if err != nil || m.Tied("cls.predictions.decoder.weight") != "" || m.Tied("cls.predictions.decoder.bias") == "" {
		t.Errorf("an output layer of its own is taken for a copy, or its bias not; %v", err)
	}
}

// Whatever a config.json says, it is refused or describes a model.
func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(`{"model_type": "bert", "vocab_size": 10, "max_position_embeddings": 7, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}`))
	f.Add([]byte(`{"model_type": "roberta", "architectures": ["RobertaForSequenceClassification"], "pad_token_id": null, "id2label": {"0": 1}}`))
	f.Add([]byte(`{"model_type": "distilbert", "dim": null, "n_heads": 1e3, "pruned_heads": {"0": [1]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseConfig(data)
		if err != nil {
			return
		}
		width, depth, heads := m.Dimensions()
		if m.Vocab() < 1 || m.Context() < 1 || width < 1 || depth < 1 || width%heads != 0 || m.firstPosition() < 0 {
			t.Errorf("%s is a model of %+v", data, m.Config)
		}
		for _, label := range m.Classes() {
			if label == "" {
				t.Errorf("%s has a class without a name", data)
			}
		}
	})
}
