package t5

import "testing"

// Whatever is taken has sizes that a graph can be built of.
func FuzzParseConfig(f *testing.F) {
	f.Add([]byte(small))
	f.Add(with(`"feed_forward_proj":"gated-gelu","num_decoder_layers":3,"tie_word_embeddings":false,"architectures":["T5Model"]`))
	f.Add(with(`"relative_attention_num_buckets":8,"relative_attention_max_distance":5,"is_gated_act":true`))
	f.Fuzz(func(t *testing.T, config []byte) {
		m, err := ParseConfig(config)
		if err != nil {
			return
		}
		if m.DModel < 1 || m.DKV < 1 || m.NumHeads < 1 || m.NumDecoderLayers < 1 || m.Buckets%4 != 0 || m.MaxDistance <= m.Buckets/2 || m.activation == "" || m.Start() < 0 || int(m.Start()) >= m.VocabSize {
			t.Errorf("%s was read as %+v", config, m)
		}
	})
}
