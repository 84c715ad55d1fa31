package t5

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
)

const small = `{"model_type":"t5","vocab_size":10,"d_model":8,"d_kv":4,"d_ff":16,"num_layers":2,"num_heads":2}`

// with is a small configuration with fields of its own.
func with(fields string) []byte {
	return []byte(strings.TrimSuffix(small, "}") + "," + fields + "}")
}

func TestDefaultsAreThoseOfTheFirstVersion(t *testing.T) {
	m, err := ParseConfig([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	if !m.TieWordEmbeddings || m.gated || m.activation != "relu" || m.NumDecoderLayers != 2 || m.Buckets != 32 || m.MaxDistance != 128 {
		t.Errorf("%+v", m)
	}
	for fields, want := range map[string]string{
		`"feed_forward_proj":"gated-gelu"`: "gelu_new", `"feed_forward_proj":"gated-silu"`: "silu",
		`"feed_forward_proj":"gelu"`: "gelu", `"is_gated_act":false,"dense_act_fn":"relu"`: "relu",
	} {
		m, err := ParseConfig(with(fields))
		if err != nil || m.activation != want || m.gated != strings.Contains(fields, "gated-") {
			t.Errorf("%s: %q, gated %v (%v)", fields, m.activation, m.gated, err)
		}
	}
}

func TestWhatIsNotBuiltIsRefusedByName(t *testing.T) {
	for fields, want := range map[string]string{
		`"num_heads":0`:                       "num_heads is 0",
		`"d_kv":0`:                            "d_kv is 0",
		`"relative_attention_num_buckets":6`:  "relative_attention_num_buckets is 6",
		`"relative_attention_max_distance":8`: "relative_attention_max_distance is 8",
		`"layer_norm_epsilon":0`:              "layer_norm_epsilon",
		`"feed_forward_proj":"gated-swash"`:   `feed_forward_proj: activation "swash"`,
		`"feed_forward_proj":"gated-gelu-x"`:  `"gelu-x"`,
		`"dense_act_fn":"gelu"`:               "dense_act_fn",
		`"is_gated_act":true`:                 "is_gated_act",
		`"is_encoder_decoder":false`:          "is_encoder_decoder",
		`"architectures":["T5EncoderModel"]`:  "T5EncoderModel",
		`"encoder_attention_type":"local"`:    "encoder_attention_type",
		`"quantization_config":{"bits":4}`:    "quantization_config",
		`"num_decoder_layers":-1`:             "num_decoder_layers is -1",
		`"decoder_start_token_id":10`:         "decoder_start_token_id is 10",
		`"pad_token_id":-1`:                   "decoder_start_token_id is -1 (where it is not set, pad_token_id)",
		`"tie_word_embeddings":"yes"`:         "tie_word_embeddings",
	} {
		if _, err := ParseConfig(with(fields)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", fields, err, want)
		}
	}
}

// The rows of the bias table are transformers', for both directions.
func TestDistancesHaveTheirBuckets(t *testing.T) {
	data, err := os.ReadFile("../testdata/cases/t5/buckets.json")
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		First         int
		Bidirectional []int
		Causal        []int
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	m, err := ParseConfig([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	for i := range want.Bidirectional {
		d := want.First + i
		if a, b := m.bucket(d, true), m.bucket(d, false); a != want.Bidirectional[i] || b != want.Causal[i] {
			t.Errorf("distance %d: %d and %d, want %d and %d", d, a, b, want.Bidirectional[i], want.Causal[i])
		}
	}
	if len(want.Bidirectional) != 601 || len(want.Causal) != 601 {
		t.Errorf("%d and %d distances", len(want.Bidirectional), len(want.Causal))
	}
}

func TestNames(t *testing.T) {
	tied, err := ParseConfig([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	apart, err := ParseConfig(with(`"tie_word_embeddings":false`))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{encoderCopy, decoderCopy, "lm_head.weight"} {
		if tied.Tied(name) != shared || (apart.Tied(name) == shared) == (name == "lm_head.weight") {
			t.Errorf("%s: %q tied, %q apart", name, tied.Tied(name), apart.Tied(name))
		}
	}
	// Only the stray bias: those of self-attention are the model's own.
	for name, unused := range map[string]bool{
		strayBias: true,
		"decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight":   false,
		"encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight":   false,
		"decoder.block.1.layer.1.EncDecAttention.relative_attention_bias.weight": false,
	} {
		if got := tied.Unused(name); (got != "") != unused {
			t.Errorf("%s: unused %q", name, got)
		}
	}
}
