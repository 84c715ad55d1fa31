package model

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"carillon/backend/backendtest"
	"carillon/job"
	"carillon/methods"
	"carillon/model/nn"
)

// A new head: of as many labels as the job has, drawn from the seed and the name.
func TestAModelThatGoesOnWithTextsGetsAHead(t *testing.T) {
	spec := job.Spec{Method: "full", Seed: 5, TaskType: job.SeqCls, Labels: []string{"bad", "good"}, BaseModel: "testdata/gpt2"}
	m := openModel(t, backendtest.Go(t), "gpt2")
	heads := map[string][]float32{}
	for _, method := range []string{"full", "lora"} {
		spec.Method, spec.LoRA = method, &job.LoRA{R: 2, LoraAlpha: 4, TargetModules: []string{methods.AllLinear}}
		s, err := m.Train(spec)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		i := slices.IndexFunc(s.Params(), func(p Param) bool { return strings.HasSuffix(p.Name, "score.weight") })
		if i < 0 {
			t.Fatalf("%s trains no head: %v", method, s.Params())
		}
		p := s.Params()[i]
		heads[p.Name] = s.Initial()[p.Offset:][:elements(p.Shape)]
		if want := []int{2, 32}; !slices.Equal(p.Shape, want) || !p.Decay || math.Abs(rms(heads[p.Name])-0.02) > 0.004 {
			t.Errorf("%s: %+v with root mean square %v, want %v and 0.02", method, p, rms(heads[p.Name]), want)
		}
		facts, err := Inspect(t.Context(), spec)
		if err != nil || !slices.EqualFunc(facts.Trainables, s.Params(), func(a, b Param) bool { return a.Name == b.Name && a.Offset == b.Offset }) {
			t.Errorf("%s: Inspect knows %d trainables (%v), the session %d", method, len(facts.Trainables), err, len(s.Params()))
		}
		total := facts.Parameters + facts.TrainableSize // the head and the adapter are added
		if method == "full" {
			total = facts.TrainableSize // all of it
		}
		if facts.Total != total {
			t.Errorf("%s: Inspect knows %d parameters in all, want %d", method, facts.Total, total)
		}
		in := openFixture(t, "base").batch()
		in.Targets = []int32{1, 0, nn.Ignored}
		if loss, err := s.Loss(in); err != nil || math.Abs(float64(loss)-2*math.Ln2) > 0.3 {
			t.Errorf("%s: loss of guessing two %v, %v", method, loss, err)
		}
		if sum, err := s.Probe(2, 16, 0, 1); err != nil || sum == [32]byte{} {
			t.Error(err)
		}
	}
	if len(heads["score.weight"]) == 0 || len(heads["base_model.model.score.weight"]) == 0 {
		t.Errorf("the heads are %v", heads)
	}
}

func TestClassesAreWeighted(t *testing.T) {
	m, in := openModel(t, backendtest.Go(t), "gpt2-cls"), openFixture(t, "gpt2-cls/base").batch()
	weights := []float32{0.5, 2, 3}
	s := startTask(t, m, methods.Full{}, task{name: job.SeqCls, labels: ownTask(m.arch).labels, outputs: 3, weights: weights})
	want := 0.0
	for r, loss := range openFixture(t, "gpt2-cls/base").facts.Losses {
		want += float64(weights[in.Targets[r]]) * loss
	}
	if loss, err := s.Loss(in); err != nil || math.Abs(float64(loss)-want) > 1e-5*want {
		t.Errorf("loss %v (%v), want %v", loss, err, want)
	}
}

// The loss is the sum of squared differences, and the gradient its derivative,
// which for the head's weights differences give exactly.
func TestRegressionIsByTheSquare(t *testing.T) {
	s := startTask(t, openModel(t, backendtest.Go(t), "gpt2"), loraCase, task{name: job.Regression, outputs: 1})
	in := openFixture(t, "base").batch()
	in.Targets = []int32{int32(math.Float32bits(1.5)), nn.Ignored, int32(math.Float32bits(-2))}
	grad := make([]float32, s.Size())
	loss, err := s.Gradient(in, job.Key{}, grad)
	if err != nil {
		t.Fatal(err)
	}
	again, outputs, err := s.Evaluate(in)
	if err != nil || again != loss || len(outputs) != 3 {
		t.Fatalf("%v: loss %v and again %v, %d outputs", err, loss, again, len(outputs))
	}
	want := math.Pow(float64(outputs[0])-1.5, 2) + math.Pow(float64(outputs[2])+2, 2)
	if math.Abs(float64(loss)-want) > 1e-5*want {
		t.Errorf("loss %v, want %v of outputs %v", loss, want, outputs)
	}
	checkAlongHead(t, s, in, grad)
	in.Targets[0] = int32(math.Float32bits(float32(math.Inf(1))))
	if _, err := s.Loss(in); err == nil || !strings.Contains(err.Error(), "row 0 is +Inf") {
		t.Errorf("an infinite target: %v", err)
	}
}

func checkAlongHead(t *testing.T, s *Session, in Input, grad []float32) {
	t.Helper()
	p := s.Params()[slices.IndexFunc(s.Params(), func(p Param) bool { return strings.HasSuffix(p.Name, "score.weight") })]
	at := func(step float32) float64 {
		flat := s.Initial()
		for i := range elements(p.Shape) {
			flat[p.Offset+i] += step * grad[p.Offset+i]
		}
		if err := s.Upload(flat); err != nil {
			t.Fatal(err)
		}
		loss, err := s.Loss(in)
		if err != nil {
			t.Fatal(err)
		}
		return float64(loss)
	}
	square := math.Pow(rms(grad[p.Offset:][:elements(p.Shape)]), 2) * float64(elements(p.Shape))
	step := 0.1 / math.Sqrt(square)
	if got := (at(float32(step)) - at(float32(-step))) / (2 * step); math.Abs(got-square) > 1e-3*square {
		t.Errorf("differences along the head's gradient give %v, want %v", got, square)
	}
}

func TestTasksThatDoNotFitAreRefused(t *testing.T) {
	labels := []string{"negative", "neutral", "positive"}
	for _, tt := range []struct {
		dir  string
		spec job.Spec
		want []string // in the error; none: it fits
	}{
		{"gpt2-cls", job.Spec{}, nil},
		{"gpt2-cls", job.Spec{TaskType: job.SeqCls}, nil},
		{"gpt2-cls", job.Spec{TaskType: job.SeqCls, Labels: labels}, nil},
		{"gpt2-cls", job.Spec{TaskType: job.SeqCls, Labels: []string{"x", "y", "z"}}, nil},
		{"gpt2-cls", job.Spec{TaskType: job.SeqCls, Labels: labels[:2]}, []string{"3 labels (negative, neutral, positive)", "2 labels (negative, neutral)"}},
		{"gpt2-cls", job.Spec{TaskType: job.SeqCls, Labels: []string{"positive", "neutral", "negative"}}, []string{"another order"}},
		{"gpt2-cls", job.Spec{TaskType: job.CausalLM}, []string{"seq_cls with 3 labels", "causal_lm"}},
		{"gpt2-cls", job.Spec{TaskType: job.Regression}, []string{"seq_cls with 3 labels", "regression"}},
		{"gpt2", job.Spec{}, nil},
		{"gpt2", job.Spec{TaskType: job.SeqCls}, []string{"at least two labels"}},
		{"gpt2", job.Spec{TaskType: job.SeqCls, Labels: labels, ClassWeights: []float64{1, 2}}, []string{"class_weights", "3 labels"}},
		{"gpt2", job.Spec{TaskType: job.Regression, SamplePacking: true}, []string{"sample_packing"}},
		{"gpt2", job.Spec{TaskType: job.Seq2SeqLM}, []string{"seq2seq_lm", "encoder"}},
	} {
		tt.spec.Method, tt.spec.BaseModel = "full", "testdata/"+tt.dir
		_, err := Inspect(t.Context(), tt.spec)
		if (err == nil) != (tt.want == nil) {
			t.Errorf("%s, %+v: error %v", tt.dir, tt.spec, err)
		}
		for _, want := range tt.want {
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %q does not say %q", tt.dir, err, want)
			}
		}
	}
}

// The file's head must be that of its configuration.
func TestAHeadOfAnotherSizeIsRefusedByShape(t *testing.T) {
	for config, want := range map[string]string{
		`"2": "positive"`:     "", // as it is
		`"7": "positive"`:     "", // three names, one of which nobody finds: LABEL_2
		`"num_labels": 2`:     "score.weight has shape [3 32], want [2 32]",
		`"problem_type": "x"`: `"x" with 3 labels`,
	} {
		data := strings.Replace(readFile(t, "testdata/gpt2-cls/config.json"), `"2": "positive"`, config, 1)
		if !strings.Contains(config, "positive") {
			data = strings.Replace(readFile(t, "testdata/gpt2-cls/config.json"), `"model_type"`, config+`, "model_type"`, 1)
		}
		_, err := Load(backendtest.Go(t), withConfig(t, "testdata/gpt2-cls", data), Options{})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", config, err, want)
		}
	}
}

func TestAClassifierGoesOnWithNoText(t *testing.T) {
	s := startSession(t, openModel(t, backendtest.Go(t), "gpt2-cls"), methods.Full{})
	if _, err := s.Generate([][]int32{{1, 2}}, 3, -1); err == nil || !strings.Contains(err.Error(), "seq_cls with 3 labels") {
		t.Errorf("a classifier went on with a text: %v", err)
	}
	in := openFixture(t, "gpt2-cls/base").batch()
	for _, targets := range [][]int32{{1, 2}, {0, 1, 3}, {0, -1, 2}} {
		in.Targets = targets
		if _, err := s.Loss(in); err == nil {
			t.Errorf("targets %v were taken", targets)
		}
	}
}

func TestAConfigurationTellsForWhichTasksItIs(t *testing.T) {
	two := []string{"a", "b"}
	for _, tt := range []struct{ dir, task, want string }{
		{"testdata/gpt2", job.CausalLM, ""},
		{"testdata/gpt2", job.SeqCls, ""},
		{"testdata/gpt2", job.Seq2SeqLM, "base model testdata/gpt2: task_type seq2seq_lm needs a model with an encoder and a decoder"},
		{withConfig(t, "testdata/gpt2", `{"model_type": "another"}`), job.Seq2SeqLM, ""},
		{"testdata/none", job.CausalLM, "base model testdata/none: open"},
	} {
		err := Suits(job.Spec{BaseModel: tt.dir, TaskType: tt.task, Labels: two})
		if got := fmt.Sprint(err); (tt.want == "") != (err == nil) || !strings.HasPrefix(got, tt.want) && tt.want != "" {
			t.Errorf("%s, %s: err = %v; want %q", tt.dir, tt.task, err, tt.want)
		}
	}
}

func TestWhatReadsAndWritesApartSaysSo(t *testing.T) {
	for config, want := range map[string]bool{"{}": false, `{"is_encoder_decoder": true}`: true, `{"is_encoder_decoder": false}`: false} {
		if got, err := EncoderDecoder(withConfig(t, "testdata/gpt2", config)); err != nil || got != want {
			t.Errorf("%s: %v, %v", config, got, err)
		}
	}
	for config, want := range map[string]string{
		"[]": "config.json: a JSON array, want an object", `{"is_encoder_decoder": "yes"}`: "config.json: is_encoder_decoder is a JSON string, want true or false",
	} {
		if _, err := EncoderDecoder(withConfig(t, "testdata/gpt2", config)); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: err = %v; want %q", config, err, want)
		}
	}
	for _, dir := range []string{withConfig(t, "testdata/gpt2", "["), t.TempDir()} {
		if _, err := EncoderDecoder(dir); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("%v: want an error that names %s", err, dir)
		}
	}
}
