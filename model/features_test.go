package model

import (
	"math"
	"slices"
	"testing"

	"carillon/backend"
	"carillon/backend/backendtest"
	"carillon/model/nn"
)

// features are the vectors of a batch.
func features(t *testing.T, m *Model, pooling string, in Input) []float32 {
	t.Helper()
	e, err := m.Encoder(pooling)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	x, err := e.Features(in)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// What stands for a text is what transformers' classifiers see of it.
func TestFeaturesAreThoseOfTheReference(t *testing.T) {
	for name, pooling := range map[string]string{"gpt2-cls": "last", "roberta-cls": "cls", "distilbert-cls": "cls", "bert-cls": "cls"} {
		t.Run(name, func(t *testing.T) {
			if name != "bert-cls" {
				checkFeatures(t, backendtest.Go(t), name, pooling)
				return
			}
			backendtest.Each(t, func(t *testing.T, be *backend.Backend) { checkFeatures(t, be, name, pooling) })
		})
	}
}

func checkFeatures(t *testing.T, be *backend.Backend, name, pooling string) {
	t.Helper()
	m, want := openModel(t, be, name), openFixture(t, name+"/feature")
	got, ref := features(t, m, pooling, want.batch()), want.floats("features")
	if name == "bert-cls" {
		got = pooled(t, m, got)
	}
	if d := furthest(got, ref) / largest(ref); d > logitsTolerance {
		t.Errorf("features differ by %.2g of the largest, want at most %g", d, logitsTolerance)
	}
}

// pooled is BERT's pooler on rows: the fixture's features have been through it.
func pooled(t *testing.T, m *Model, rows []float32) (y []float32) {
	t.Helper()
	w, err := base{m}.Weight("bert.pooler.dense.weight") // [out, in]
	if err != nil {
		t.Fatal(err)
	}
	b, err := base{m}.Weight("bert.pooler.dense.bias")
	if err != nil {
		t.Fatal(err)
	}
	for row := range slices.Chunk(rows, len(b)) {
		for o := range b {
			sum := float64(b[o])
			for i, x := range row {
				sum += float64(w[o*len(b)+i]) * float64(x)
			}
			y = append(y, float32(math.Tanh(sum)))
		}
	}
	return y
}

// A text's mean is that of its tokens alone: padding, another row and a longer
// batch change nothing but the last bits.
func TestMeanIsOfTokensAlone(t *testing.T) {
	backendtest.Each(t, func(t *testing.T, be *backend.Backend) {
		m := openModel(t, be, "bert-cls")
		short := Input{Rows: 1, Len: 3, Tokens: []int32{5, 6, 7}, Mask: []int32{1, 1, 2}}
		long := Input{Rows: 2, Len: 5, Tokens: []int32{5, 6, 7, 9, 9, 0, 0, 0, 0, 0}, Mask: []int32{1, 1, 2, 0, 0, 0, 0, 0, 0, 0}}
		a, b := features(t, m, "mean", short), features(t, m, "mean", long)
		if d := furthest(a, b[:len(a)]); d > 1e-5 {
			t.Errorf("with padding the mean is off by %.2g", d)
		}
		if again := features(t, m, "mean", long); !slices.Equal(b, again) {
			t.Error("the same batch gives other bits")
		}
		if slices.ContainsFunc(b[len(a):], func(x float32) bool { return x != 0 }) {
			t.Error("a row without tokens is not 0")
		}
	})
}

func TestEncoderRefuses(t *testing.T) {
	m := openModel(t, backendtest.Go(t), "bert-cls")
	if _, err := m.Encoder("max"); err == nil {
		t.Error("pooling max: no error")
	}
	e, err := m.Encoder("mean")
	if err != nil {
		t.Fatal(err)
	}
	for name, in := range map[string]Input{
		"token":  {Rows: 1, Len: 1, Tokens: []int32{nn.Ignored}, Mask: []int32{1}},
		"mask":   {Rows: 1, Len: 2, Tokens: []int32{1, 1}, Mask: []int32{1}},
		"length": {Rows: 1, Len: 5000, Tokens: make([]int32, 5000), Mask: make([]int32, 5000)},
		"rows":   {},
	} {
		if _, err := e.Features(in); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
