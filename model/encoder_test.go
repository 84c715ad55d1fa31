package model

import (
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"carillon/backend/backendtest"
	"carillon/job"
	"carillon/methods"
	"carillon/model/nn"
)

// maskedConfigs are small models that guess masked tokens: a name and a config.json,
// to which a key can be added.
var maskedConfigs = map[string]string{
	"bert": `{"model_type": "bert", "architectures": ["BertForMaskedLM"], "vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1,
"num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 12`,
	"roberta": `{"model_type": "roberta", "architectures": ["RobertaForMaskedLM"], "vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1,
"num_attention_heads": 2, "intermediate_size": 16, "max_position_embeddings": 14, "type_vocab_size": 1`,
	"distilbert": `{"model_type": "distilbert", "architectures": ["DistilBertForMaskedLM"], "vocab_size": 20, "dim": 8, "n_layers": 1,
"n_heads": 2, "hidden_dim": 16, "max_position_embeddings": 12`,
}

// masked starts a session of a small model that trains all of it.
func masked(t *testing.T, config string) *Session {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(config+"}"), 0o644); err != nil {
		t.Fatal(err)
	}
	m, err := Load(backendtest.Go(t), dir, Options{ReinitWeights: true, Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return startSession(t, m, methods.Full{})
}

// drawn gives each trainable large values of its own: biases are not zero.
func drawn(s *Session) map[string][]float32 {
	values := map[string][]float32{}
	for _, p := range s.Params() {
		x := make([]float32, product(p.Shape))
		nn.Normal(0.5)(job.NewKey(7, job.ForInit, job.NameWord(p.Name)), x)
		values[p.Name] = x
	}
	return values
}

func product(shape []int) int { return nn.Decl{Shape: shape}.Size() }

// upload makes values the session's.
func upload(t *testing.T, s *Session, values map[string][]float32) {
	t.Helper()
	flat := make([]float32, s.Size())
	for _, p := range s.Params() {
		copy(flat[p.Offset:], values[p.Name])
	}
	if err := s.Upload(flat); err != nil {
		t.Fatal(err)
	}
}

var maskedBatch = Input{
	Rows: 2, Len: 6,
	Tokens: []int32{2, 9, 4, 3, 11, 3, 2, 4, 4, 3, 0, 0},
	Mask:   []int32{1, 1, 1, 1, 2, 2, 1, 1, 1, 1, 0, 0},
	Labels: []int32{-100, -100, 7, -100, 5, -100, -100, 8, 19, -100, -100, -100},
}

// The loss of masked tokens is that of each in its own place, given all the others.
func TestMaskedTokensAreAskedForInTheirPlaces(t *testing.T) {
	for name, config := range maskedConfigs {
		s := masked(t, config)
		upload(t, s, drawn(s))
		logits, err := s.Logits(maskedBatch)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		loss, err := s.Loss(maskedBatch)
		if want := inPlace(logits, maskedBatch.Labels); s.Task() != job.MaskedLM || err != nil || math.Abs(float64(loss)-want) > 1e-5*want {
			t.Errorf("%s: loss %v of %s, want %v, %v", name, loss, s.Task(), want, err)
		}
		later := maskedBatch
		later.Tokens = slices.Clone(later.Tokens)
		later.Tokens[4] = 12
		if other, err := s.Logits(later); err != nil || furthest(other[:20], logits[:20]) == 0 {
			t.Errorf("%s: the first token does not see the fifth; %v", name, err)
		}
	}
}

// inPlace sums up the negative log-likelihood of the labels that are asked for.
func inPlace(logits []float32, labels []int32) (sum float64) {
	vocab := len(logits) / len(labels)
	for i, label := range labels {
		if label < 0 {
			continue
		}
		all := 0.0
		for _, z := range logits[i*vocab : (i+1)*vocab] {
			all += math.Exp(float64(z))
		}
		sum += math.Log(all) - float64(logits[i*vocab+int(label)])
	}
	return sum
}

// The gradient of embeddings that are also the head is the sum of the gradients for
// both, and everything else is as with a head of its own.
func TestTheMaskedLMHeadIsTiedToTheEmbeddings(t *testing.T) {
	for name, at := range map[string][2]string{
		"bert":       {"bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"},
		"roberta":    {"roberta.embeddings.word_embeddings.weight", "lm_head.decoder.weight"},
		"distilbert": {"distilbert.embeddings.word_embeddings.weight", "vocab_projector.weight"},
	} {
		tied, own := masked(t, maskedConfigs[name]), masked(t, maskedConfigs[name]+`, "tie_word_embeddings": false`)
		values := drawn(own)
		values[at[1]] = values[at[0]]
		want := gradientsBy(t, own, values)
		for i, g := range want[at[1]] {
			want[at[0]][i] += g
		}
		delete(want, at[1])
		got := gradientsBy(t, tied, values)
		if len(got) != len(want) {
			t.Errorf("%s: %d tensors, want %d", name, len(got), len(want))
		}
		for tensor, g := range got {
			if d := furthest(g, want[tensor]); d > 1e-4*largest(got[at[0]]) {
				t.Errorf("%s: gradient of %s is off by %.2g", name, tensor, d)
			}
		}
	}
}

// gradientsBy returns the gradient of a session's loss by tensor.
func gradientsBy(t *testing.T, s *Session, values map[string][]float32) map[string][]float32 {
	t.Helper()
	upload(t, s, values)
	grad := make([]float32, s.Size())
	if _, err := s.Gradient(maskedBatch, job.Key{}, grad); err != nil {
		t.Fatal(err)
	}
	by := map[string][]float32{}
	for _, p := range s.Params() {
		by[p.Name] = grad[p.Offset:][:product(p.Shape)]
	}
	return by
}
