package gpt2

import "testing"

// Whatever is taken has sizes that a graph can be built of.
func FuzzParseConfig(f *testing.F) {
	const sizes = `"model_type":"gpt2","vocab_size":10,"n_embd":8,"n_head":2,"n_layer":1,"n_positions":16`
	f.Add([]byte("{" + sizes + "}"))
	f.Add([]byte("{" + sizes + `,"n_inner":null,"activation_function":"gelu","architectures":["GPT2ForSequenceClassification"],"num_labels":3}`))
	f.Fuzz(func(t *testing.T, config []byte) {
		c, err := ParseConfig(config)
		if err == nil && (c.NHead < 1 || c.NEmbd%c.NHead != 0 || c.NInner < 1 || c.VocabSize < 1 || c.NPositions < 1) {
			t.Errorf("%s was read as %+v", config, c)
		}
	})
}
