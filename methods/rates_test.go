package methods

import (
	"math"
	"slices"
	"testing"

	"carillon/job"
	"carillon/model/nn"
)

func TestLayersBelowLearnSlower(t *testing.T) {
	method, err := newFull(job.Spec{LayerLRDecay: 0.5})
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{
		"bert.embeddings.word_embeddings.weight", "bert.encoder.layer.0.output.dense.bias", "bert.encoder.layer.1.output.dense.bias",
		"bert.pooler.dense.weight", "classifier.weight",
	}
	if got, want := method.(nn.Rates).Rates(keys), []float64{0.125, 0.25, 0.5, 1, 1}; !slices.Equal(got, want) {
		t.Errorf("rates %v, want %v", got, want)
	}
	keys = []string{"lm_head.weight", "transformer.h.2.ln_1.bias", "transformer.wte.weight"}
	if got, want := method.(nn.Rates).Rates(keys), []float64{1, 0.5, 0.0625}; !slices.Equal(got, want) {
		t.Errorf("rates %v, want %v", got, want)
	}
}

func TestLoRAPlusRaisesTheRateOfB(t *testing.T) {
	keys := []string{
		"base_model.model.q.lora_A.weight", "base_model.model.q.lora_B.weight", "base_model.model.q.lora_magnitude_vector",
		"base_model.model.wte.lora_embedding_A", "base_model.model.q.base_layer.bias", "base_model.model.score.weight",
	}
	for ratio, want := range map[float64][]float64{0: {1, 1, 1, 1, 1, 1}, 16: {1, 16, 16, 0.01, 16, 1}} {
		method, err := newLoRA(job.Spec{LearningRate: 1e-4, LoRA: &job.LoRA{R: 8, LoraAlpha: 8, TargetModules: []string{"q"}, LoraplusLRRatio: ratio}})
		if err != nil {
			t.Fatal(err)
		}
		for i, got := range method.(nn.Rates).Rates(keys) {
			if math.Abs(got-want[i]) > 1e-12 {
				t.Errorf("ratio %v: %s has rate %v, want %v", ratio, keys[i], got, want[i])
			}
		}
	}
}
