package methods

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"carillon/job"
)

func TestSectionsOfSoftMethodsAreRefusedByKey(t *testing.T) {
	for _, tt := range []struct {
		spec job.Spec
		want string // in the error; "" for none
	}{
		{job.Spec{Method: "prompt"}, "section prompt"},
		{job.Spec{Method: "prompt", Prompt: &job.Prompt{}}, "prompt.num_virtual_tokens"},
		{job.Spec{Method: "prompt", Prompt: &job.Prompt{NumVirtualTokens: 3, PromptTuningInit: "text"}}, "prompt_tuning_init_text"},
		{job.Spec{Method: "prompt", Prompt: &job.Prompt{NumVirtualTokens: 3, PromptTuningInit: "class_labels"}}, "no labels"},
		{job.Spec{Method: "prompt", Prompt: &job.Prompt{NumVirtualTokens: 3}, SamplePacking: true}, "sample_packing"},
		{job.Spec{Method: "prompt", Prompt: &job.Prompt{NumVirtualTokens: 3}}, ""},
		{job.Spec{Method: "prefix"}, "section prefix"},
		{job.Spec{Method: "prefix", Prefix: &job.Prefix{}}, "prefix.num_virtual_tokens"},
		{job.Spec{Method: "prefix", Prefix: &job.Prefix{NumVirtualTokens: 3, PrefixProjection: true, PrefixInitText: "x"}}, "prefix_projection"},
		{job.Spec{Method: "prefix", Prefix: &job.Prefix{NumVirtualTokens: 3, PrefixInit: "text"}}, "prefix_init_text"},
		{job.Spec{Method: "prefix", Prefix: &job.Prefix{NumVirtualTokens: 3}, SamplePacking: true}, ""},
		{job.Spec{Method: "adapter"}, "section bottleneck"},
		{job.Spec{Method: "adapter", Bottleneck: &job.Bottleneck{Architecture: "pfeiffer"}}, "double_seq_bn, par_bn and seq_bn"},
		{job.Spec{Method: "adapter", Bottleneck: &job.Bottleneck{Architecture: "seq_bn", ReductionFactor: -1}}, "reduction_factor"},
		{job.Spec{Method: "adapter", Bottleneck: &job.Bottleneck{Architecture: "seq_bn", Scaling: -1}}, "bottleneck.scaling"},
		{job.Spec{Method: "adapter", Bottleneck: &job.Bottleneck{Architecture: "seq_bn", LearnScaling: "gate"}}, "learn_scaling"},
		{job.Spec{Method: "adapter", Bottleneck: &job.Bottleneck{Architecture: "seq_bn", NonLinearity: "swash"}}, "non_linearity"},
		{job.Spec{Method: "adapter", Bottleneck: &job.Bottleneck{Architecture: "seq_bn", InitWeights: "zero"}}, "init_weights"},
		{job.Spec{Method: "adapter", Bottleneck: &job.Bottleneck{Architecture: "seq_bn", ReductionFactors: map[string]float64{"first": 2}}}, "reduction_factors"},
		{job.Spec{Method: "adapter", Bottleneck: &job.Bottleneck{Architecture: "seq_bn", OriginalLNAfter: new(bool)}}, "original_ln_after"},
		{job.Spec{Method: "adapter", Bottleneck: &job.Bottleneck{Architecture: "double_seq_bn", BottleneckSize: 8}}, ""},
	} {
		_, err := New(tt.spec)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s %+v: error %v, want one with %q", tt.spec.Method, tt.spec, err, tt.want)
		}
	}
}

func TestBottlenecksAreAsWideAsAdapterHubs(t *testing.T) {
	a := Adapter{ReductionFactor: 16, ReductionFactors: map[string]float64{"1": 5}}
	for layer, want := range []int{48, 153} {
		if got := a.size(layer, 768); got != want {
			t.Errorf("layer %d: %d units, want %d", layer, got, want)
		}
	}
	if got := a.size(0, 8); got != 1 {
		t.Errorf("%d units of a width below the factor, want 1", got)
	}
	if got := (Adapter{ReductionFactor: 16, Size: 7}).size(0, 768); got != 7 {
		t.Errorf("%d units, want 7", got)
	}
}

// Of prompts and prefixes a classifier's head is kept as PEFT keeps it, of adapters
// as AdapterHub does.
func TestHeadsKeepTheirLibrariesNames(t *testing.T) {
	for name, head := range map[string]bool{
		"classifier.weight": true, "classifier.out_proj.bias": true, "pre_classifier.weight": true, "score.weight": true,
		"bert.pooler.dense.weight": false, "lm_head.weight": false,
	} {
		if key, ok := (Prompt{}).Trains(name); ok != head || ok && key != "base_model."+name {
			t.Errorf("%s beside a prompt: %q, %v", name, key, ok)
		}
		if key, ok := (Adapter{}).Trains(name); ok != head || ok && key != name {
			t.Errorf("%s beside an adapter: %q, %v", name, key, ok)
		}
	}
}

// alphabet is a base whose tokens are letters, with the embedding (id, 10·id).
type alphabet struct{}

func (alphabet) Vocab() int { return 26 }

func (alphabet) Tokens(text string, special bool) (ids []int32, err error) {
	if text == "?" {
		return nil, fmt.Errorf("there is no tokenizer")
	}
	for _, r := range text {
		ids = append(ids, r-'a')
	}
	if special {
		ids = append(ids, 25)
	}
	return ids, nil
}

func (alphabet) Embeddings(ids []int32) (rows []float32, err error) {
	for _, id := range ids {
		rows = append(rows, float32(id), 10*float32(id))
	}
	return rows, nil
}

func (alphabet) Weight(string) ([]float32, error) { return nil, nil }

func (a alphabet) KeysValues(ids []int32) ([]float32, error) { return a.Embeddings(ids) }

func TestPromptsBeginAsWords(t *testing.T) {
	for _, tt := range []struct {
		prompt Prompt
		want   []float32 // of the two numbers of each row the first
	}{
		{Prompt{Init: "text", Text: "bc"}, []float32{1, 2, 25, 1}},
		{Prompt{Init: "text", Text: "bcdefg"}, []float32{1, 2, 3, 4}},
		{Prompt{Init: "class_labels", Labels: []string{"bd", "c", "f", "eee", "x"}}, []float32{2, 2, 5, 4}},
	} {
		got := make([]float32, 8)
		if err := tt.prompt.first(alphabet{}, job.Key{1, 2}, got); err != nil {
			t.Fatal(err)
		}
		for i, want := range tt.want {
			if got[2*i] != want || got[2*i+1] != 10*want {
				t.Errorf("%+v: row %d is %v, want %v", tt.prompt, i, got[2*i:][:2], want)
			}
		}
	}
	for _, p := range []Prompt{{Init: "text", Text: "?"}, {Init: "class_labels", Labels: []string{"?"}}, {Init: "class_labels", Labels: []string{""}}} {
		if err := p.first(alphabet{}, job.Key{1, 2}, make([]float32, 8)); err == nil || strings.Contains(err.Error(), "%!") {
			t.Errorf("%+v: error %v", p, err)
		}
	}
}

// Rows that nobody gives words to are drawn from the whole vocabulary, by the key.
func TestPromptsAreDrawnFromTheVocabulary(t *testing.T) {
	draw := func(key job.Key) []int32 { return drawn(alphabet{}, key, 1000) }
	ids := draw(job.Key{1, 2})
	if slices.Min(ids) != 0 || slices.Max(ids) != 25 {
		t.Errorf("ids from %d to %d, want 0 to 25", slices.Min(ids), slices.Max(ids))
	}
	if !slices.Equal(ids, draw(job.Key{1, 2})) || slices.Equal(ids, draw(job.Key{1, 3})) {
		t.Error("the key does not decide what is drawn")
	}
	rows := make([]float32, 8)
	if err := (Prompt{Init: "class_labels", Labels: []string{"b"}}).first(alphabet{}, job.Key{1, 2}, rows); err != nil {
		t.Fatal(err)
	}
	if rows[0] != 1 || rows[2] != float32(ids[1]) {
		t.Errorf("rows %v, want the label's, then those of %d", rows, ids[1:4])
	}
}

func TestPrefixesBeginAsKeysAndValues(t *testing.T) {
	got := make([]float32, 6)
	if err := (Prefix{N: 3, Text: "bc"}).first(alphabet{}, job.Key{}, got); err != nil || got[4] != 25 {
		t.Errorf("prefix %v (%v), want that of b, c and the end", got, err)
	}
	if err := (Prefix{N: 3, Text: "bc"}).first(alphabet{}, job.Key{}, got[:5]); err == nil {
		t.Error("a base with other keys and values fits")
	}
}
