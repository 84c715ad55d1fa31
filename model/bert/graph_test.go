package bert

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"carillon/backend/backendtest"
	"carillon/job"
	"carillon/model/nn"
)

// What BERT without a head gives of texts of unequal length, some of them pairs, is
// what transformers gives.
func TestStatesAndPooledVectorsAreThoseOfTheReference(t *testing.T) {
	config, err := os.ReadFile("../testdata/bert-base/config.json")
	if err != nil {
		t.Fatal(err)
	}
	m, err := ParseConfig(config)
	if err != nil || !m.Bare() {
		t.Fatalf("bare %v, %v", m.Bare(), err)
	}
	params := values{}
	for name, words := range read(t, "../testdata/bert-base/model.safetensors") {
		params[m.Name(name)] = floats(words)
	}
	want := read(t, "../testdata/cases/bert-base/base.safetensors")
	b := batch{rows: 3, ids: ints(want["input/input_ids"]), mask: ints(want["input/attention_mask"])}
	for i, kind := range ints(want["input/token_type_ids"]) {
		b.mask[i] *= 1 + kind
	}
	got := params.compute(t, b, func(p nn.Params, s nn.Sequence, ids *Node) []*Node {
		s.X = m.Embed(p, ids)
		x := m.Hidden(p, s)
		return []*Node{x, m.features(p, x)}
	})
	states := floats(want["last_hidden_state"])
	for i, part := range b.mask {
		if part == 0 { // padding has states, and nobody looks at them
			copy(got[0][i*m.HiddenSize:(i+1)*m.HiddenSize], states[i*m.HiddenSize:])
		}
	}
	near(t, "last hidden states", got[0], states, 2e-5)
	near(t, "pooled vectors", got[1], floats(want["pooler_output"]), 2e-5)
}

// The masked-LM heads give what their formulas say, computed here the slow way.
func TestLogitsOfTheMaskedLMHeads(t *testing.T) {
	for _, tt := range []struct{ kind, more, dense, norm, table, bias string }{
		{"bert", `"hidden_act": "relu", "layer_norm_eps": 0.01`, "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "bert.embeddings.word_embeddings", "cls.predictions.bias"},
		{"bert", `"tie_word_embeddings": false`, "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.decoder", "cls.predictions.bias"},
		{"roberta", `"hidden_act": "relu"`, "lm_head.dense", "lm_head.layer_norm", "roberta.embeddings.word_embeddings", "lm_head.bias"},
		{"distilbert", "", "vocab_transform", "vocab_layer_norm", "distilbert.embeddings.word_embeddings", "vocab_projector.bias"},
	} {
		m, err := parse(tt.kind, tt.more)
		if err != nil {
			t.Fatal(err)
		}
		params := values{}
		b := batch{rows: 2, ids: []int32{1, 2, 3, 4, 5, 6, 7, 8}, mask: []int32{1, 1, 2, 2, 1, 1, 1, 0}}
		out := params.compute(t, b, func(p nn.Params, s nn.Sequence, ids *Node) []*Node {
			s.X = m.Embed(p, ids)
			x := m.Hidden(p, s)
			return []*Node{x, m.Logits(p, x)}
		})
		act := gelu
		if tt.kind == "bert" && m.HiddenAct == "relu" { // RoBERTa's is always gelu
			act = func(x float64) float64 { return max(x, 0) }
		}
		d := m.HiddenSize
		var want []float32
		for x := range slices.Chunk(out[0], d) {
			h := make([]float64, d)
			for i := range h {
				h[i] = act(dot(params[tt.dense+".weight"][i*d:(i+1)*d], x) + float64(params[tt.dense+".bias"][i]))
			}
			y := normalized(h, params[tt.norm+".weight"], params[tt.norm+".bias"], m.LayerNormEps)
			for v := range m.VocabSize {
				want = append(want, float32(dot(params[tt.table+".weight"][v*d:(v+1)*d], y)+float64(params[tt.bias][v])))
			}
		}
		near(t, tt.kind+" with "+tt.more, out[1], want, 1e-5)
		if _, ok := params["cls.predictions.decoder.weight"]; ok == m.TieWordEmbeddings {
			t.Errorf("%s with %s: an output layer of its own: %v", tt.kind, tt.more, ok)
		}
	}
}

func gelu(x float64) float64 { return x * (1 + math.Erf(x/math.Sqrt2)) / 2 }

func dot(a, b []float32) (sum float64) {
	for i := range a {
		sum += float64(a[i]) * float64(b[i])
	}
	return sum
}

// normalized is layer normalization of one row.
func normalized(x []float64, gain, bias []float32, epsilon float64) []float32 {
	n, mean, variance := float64(len(x)), 0.0, 0.0
	for _, v := range x {
		mean += v / n
	}
	for _, v := range x {
		variance += (v - mean) * (v - mean) / n
	}
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32((v-mean)/math.Sqrt(variance+epsilon)*float64(gain[i]) + float64(bias[i]))
	}
	return y
}

// near compares by the largest of want.
func near(t *testing.T, what string, got, want []float32, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d numbers, want %d", what, len(got), len(want))
	}
	top, off := 0.0, 0.0
	for i := range want {
		top, off = max(top, math.Abs(float64(want[i]))), max(off, math.Abs(float64(got[i]-want[i])))
	}
	if !(off <= tolerance*top) {
		t.Errorf("%s differ by %.2g of the largest, want at most %g", what, off/top, tolerance)
	}
}

// batch is rows of tokens, and the number of each one's part.
type batch struct {
	rows      int
	ids, mask []int32
}

// values are a model's parameters. Those that are asked for and not there are drawn.
type values map[string][]float32

func (v values) param(d nn.Decl) []float32 {
	if v[d.Name] == nil {
		v[d.Name] = make([]float32, d.Size())
		nn.Normal(0.3)(job.NewKey(1, job.ForInit, job.NameWord(d.Name)), v[d.Name])
	}
	return v[d.Name]
}

// plain is the method that does nothing.
type plain struct{}

func (plain) Trains(string) (string, bool) { return "", false }
func (plain) Check([]string) error         { return nil }

// compute runs part of a model on a batch.
func (v values) compute(t *testing.T, b batch, part func(nn.Params, nn.Sequence, *Node) []*Node) (out [][]float32) {
	t.Helper()
	node := func(x []int32) any { return tensors.FromFlatDataAndDimensions(x, b.rows, len(x)/b.rows) }
	exec, err := NewExec(backendtest.Go(t).Compute(), func(in []*Node) []*Node {
		g := in[0].Graph()
		p := nn.NewParams(g, plain{}, func(d nn.Decl) *Node {
			return Const(g, tensors.FromFlatDataAndDimensions(v.param(d), d.Shape...))
		}, nil)
		return part(p, nn.Sequence{Mask: in[1], Positions: in[2]}, in[0])
	})
	if err != nil {
		t.Fatal(err)
	}
	results, err := exec.Call(node(b.ids), node(b.mask), node(b.positions()))
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range results {
		data, err := tensors.CopyFlatData[float32](x)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, data)
	}
	return out
}

// positions counts tokens from the left; padding stands on the right.
func (b batch) positions() []int32 {
	at := make([]int32, len(b.ids))
	for i := range at {
		at[i] = int32(i % (len(at) / b.rows))
	}
	return at
}

// read reads the tensors of a file, whose elements have four bytes.
func read(t *testing.T, path string) map[string][]uint32 {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(data)
	var header map[string]struct {
		Offsets [2]int `json:"data_offsets"`
	}
	if err := json.Unmarshal(data[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	out := map[string][]uint32{}
	for name, h := range header {
		words := make([]uint32, (h.Offsets[1]-h.Offsets[0])/4)
		for i := range words {
			words[i] = binary.LittleEndian.Uint32(data[8+int(n)+h.Offsets[0]+4*i:])
		}
		out[name] = words
	}
	return out
}

func floats(words []uint32) []float32 {
	out := make([]float32, len(words))
	for i, w := range words {
		out[i] = math.Float32frombits(w)
	}
	return out
}

func ints(words []uint32) []int32 {
	out := make([]int32, len(words))
	for i, w := range words {
		out[i] = int32(w)
	}
	return out
}
