package export

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"carillon/checkpoint"
	"carillon/job"
	"carillon/objstore"
	"carillon/safetensors"
	"carillon/tokenizer"
)

func weightsOf(t *testing.T, dir string) []safetensors.Tensor {
	t.Helper()
	tensors, err := readTensors(filepath.Join(dir, safetensors.SingleFile))
	if err != nil {
		t.Fatal(err)
	}
	return tensors
}

// base is testdata/gpt2 with a tokenizer and a note.
func base(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "base")
	if err := os.CopyFS(dir, os.DirFS("testdata/gpt2")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tokenizer.json", "notes.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestAFullModelIsADirectoryOfItsOwn(t *testing.T) {
	dir := base(t)
	tensors := weightsOf(t, dir)
	out := filepath.Join(t.TempDir(), "model")
	for dtype, stored := range dtypes { // one replaces the other
		sum, err := Full(out, dir, job.Spec{SaveDtype: dtype}, tensors)
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(filepath.Join(out, safetensors.SingleFile))
		if err != nil || sumOf(data) != sum {
			t.Errorf("%q: the hash is %s (%v), want that of the file", dtype, sum, err)
		}
		f, err := safetensors.OpenDir(out)
		if err != nil {
			t.Fatal(err)
		}
		if got := f.Tensors(); len(got) != len(tensors) || got[0].DType != stored || got[0].Name != tensors[0].Name {
			t.Errorf("%q: %d tensors, the first is %v", dtype, len(got), got[0])
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		if got, want := strings.Join(namesIn(t, out), " "), "config.json generation_config.json model.safetensors tokenizer.json"; got != want {
			t.Errorf("%q: files %s, want %s", dtype, got, want)
		}
		checkConfig(t, out, dir, dtype)
	}
	if _, err := Full(out, dir, job.Spec{}, tensors); err != nil {
		t.Fatal(err)
	}
	if got := weightsOf(t, out); !reflect.DeepEqual(got, tensors) {
		t.Error("what is read back is not what was written")
	}
}

func checkConfig(t *testing.T, out, base, dtype string) {
	t.Helper()
	if dtype == "" {
		dtype = "float32"
	}
	got, want := keysOf(t, filepath.Join(out, configFile)), keysOf(t, filepath.Join(base, configFile))
	want["torch_dtype"], want["dtype"], want[exportedBy] = dtype, dtype, us
	delete(want, "transformers_version")
	if !reflect.DeepEqual(got, want) {
		t.Errorf("config.json says %v, want %v", got, want)
	}
}

// What transformers 4.57.6 wrote for a classifier with these labels says what ours does.
func TestAClassifierIsReadAsTransformersReadsIt(t *testing.T) {
	for _, tt := range []struct {
		task   string
		labels []string
		want   map[string]any
	}{
		{job.SeqCls, []string{"negative", "neutral", "positive"}, map[string]any{
			"architectures": []any{"GPT2ForSequenceClassification"}, "problem_type": "single_label_classification",
			"id2label": map[string]any{"0": "negative", "1": "neutral", "2": "positive"},
			"label2id": map[string]any{"negative": 0.0, "neutral": 1.0, "positive": 2.0}, "pad_token_id": 255.0,
		}},
		{job.Regression, nil, map[string]any{
			"architectures": []any{"GPT2ForSequenceClassification"}, "problem_type": "regression",
			"id2label": map[string]any{"0": "LABEL_0"}, "label2id": map[string]any{"LABEL_0": 0.0}, "pad_token_id": 255.0,
		}},
		{job.CausalLM, nil, map[string]any{
			"architectures": []any{"GPT2LMHeadModel"}, "problem_type": nil, "id2label": nil, "label2id": nil, "pad_token_id": nil,
		}},
	} {
		dir, out := base(t), filepath.Join(t.TempDir(), "model")
		if _, err := Full(out, dir, job.Spec{TaskType: tt.task, Labels: tt.labels}, weightsOf(t, dir)); err != nil {
			t.Fatal(err)
		}
		got := keysOf(t, filepath.Join(out, configFile))
		for key, want := range tt.want {
			if !reflect.DeepEqual(got[key], want) {
				t.Errorf("%s: %s is %v, want %v", tt.task, key, got[key], want)
			}
		}
	}
}

func TestOnlyWhatIsBuiltBecomesAClassifier(t *testing.T) {
	dir := base(t)
	config := `{"model_type": "gpt9", "pad_token_id": 3}`
	if err := os.WriteFile(filepath.Join(dir, configFile), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Full(filepath.Join(t.TempDir(), "model"), dir, job.Spec{TaskType: job.Regression}, weightsOf(t, dir))
	if err == nil || !strings.Contains(err.Error(), "gpt9") {
		t.Errorf("%v, want an error that names gpt9", err)
	}
}

func TestTheBaseIsNeverReplaced(t *testing.T) {
	dir := base(t)
	tensors := weightsOf(t, dir)
	out := filepath.Join(t.TempDir(), "model")
	if _, err := Full(out, dir, job.Spec{}, tensors); err != nil {
		t.Fatal(err)
	}
	theirs := filepath.Join(t.TempDir(), "theirs")
	if err := os.CopyFS(theirs, os.DirFS("testdata/gpt2")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ out, base, dtype, want string }{
		{out, out, "", "the base model's directory"}, // although it is an export
		{theirs, dir, "", "not written by an export"},
		{out, dir, "float8", "save_dtype"},
		{out, filepath.Join(dir, "none"), "", "config.json"},
	} {
		if _, err := Full(tt.out, tt.base, job.Spec{SaveDtype: tt.dtype}, tensors); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

func TestNumbersThatFloat16CannotHold(t *testing.T) {
	dir, parent := base(t), t.TempDir()
	tensors := weightsOf(t, dir)
	tensors[0].Data[0] = 1e6
	if _, err := Full(filepath.Join(parent, "model"), dir, job.Spec{SaveDtype: "float16"}, tensors); err == nil || !strings.Contains(err.Error(), "F16") {
		t.Errorf("1e6 as float16: %v, want an error that names the type", err)
	}
	if left := namesIn(t, parent); len(left) > 0 {
		t.Errorf("%q is left", left)
	}
}

// saved puts a checkpoint of tensors into a new store.
func saved(t *testing.T, spec job.Spec, tensors []safetensors.Tensor) objstore.Store {
	t.Helper()
	store := &objstore.Mem{}
	m := checkpoint.Manifest{Job: "j1", Step: 7, Digest: sumOf(nil), Spec: spec.Encode()}
	var w []float32
	for _, x := range tensors {
		m.Params = append(m.Params, checkpoint.Param{Name: x.Name, Shape: x.Shape})
		w = append(w, x.Data...)
	}
	state := checkpoint.EncodeState(nil, w, make([]float32, len(w)), make([]float32, len(w)), 7)
	m.Size = int64(len(state))
	sum, err := checkpoint.PutChunk(t.Context(), store, m.Job, m.Generation, m.Step, state)
	if err != nil {
		t.Fatal(err)
	}
	m.Chunks = []checkpoint.Chunk{{Index: 0, SHA256: sum, Size: m.Size}}
	if _, err := checkpoint.Commit(t.Context(), store, checkpoint.Head{Incarnation: 1, Term: 1}, m); err != nil {
		t.Fatal(err)
	}
	return store
}

func TestWhatIsSavedIsExported(t *testing.T) {
	dir := base(t)
	adapter := adapterOf("c_attn").Spec
	adapter.BaseModel = "models/gpt2"
	classifier := classifierOf().Spec
	classifier.BaseModel = "models/gpt2-cls"
	for _, tt := range []struct {
		spec    job.Spec
		tensors []safetensors.Tensor
		direct  func(out string) (string, error)
	}{
		{adapter, fixture(t), func(out string) (string, error) { return Adapter(out, adapterOf("c_attn"), fixture(t)) }},
		{classifier, tensorsIn(t, "testdata/lora-gpt2-cls"), func(out string) (string, error) {
			return Adapter(out, classifierOf(), tensorsIn(t, "testdata/lora-gpt2-cls"))
		}},
		{job.Spec{Method: "full", SaveDtype: "bfloat16", BaseModel: dir}, weightsOf(t, dir), func(out string) (string, error) {
			return Full(out, dir, job.Spec{SaveDtype: "bfloat16"}, weightsOf(t, dir))
		}},
	} {
		store := saved(t, tt.spec, tt.tensors)
		out, direct := filepath.Join(t.TempDir(), "out"), filepath.Join(t.TempDir(), "direct")
		got, err := FromStore(t.Context(), store, "j1", out, dir)
		if err != nil {
			t.Fatal(err)
		}
		want, err := tt.direct(direct)
		if err != nil || got != (Result{want, 7}) {
			t.Errorf("%s: exported %+v, want step 7 and %s (%v)", tt.spec.Method, got, want, err)
		}
		for _, name := range namesIn(t, direct) {
			a, aerr := os.ReadFile(filepath.Join(out, name))
			b, berr := os.ReadFile(filepath.Join(direct, name))
			if aerr != nil || berr != nil || string(a) != string(b) {
				t.Errorf("%s: %s differs from the one written directly (%v, %v)", tt.spec.Method, name, aerr, berr)
			}
		}
	}
	if _, err := FromStore(t.Context(), &objstore.Mem{}, "j1", filepath.Join(t.TempDir(), "out"), dir); !errors.Is(err, objstore.ErrNotExist) {
		t.Errorf("an empty store: %v, want ErrNotExist", err)
	}
}

// A tokenizer that pads with a token of its own says so itself.
func TestRowsArePaddedAsTheTokenizerDoes(t *testing.T) {
	dir, out := base(t), filepath.Join(t.TempDir(), "model")
	tok, err := tokenizer.TrainBPE(slices.Values([]string{"the bell rings"}), 258, []string{"<|end|>", "<pad>"})
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.Write(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "tokenizer_config.json"), []byte(`{"pad_token": "<pad>"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Full(out, dir, job.Spec{TaskType: job.Regression}, weightsOf(t, dir)); err != nil {
		t.Fatal(err)
	}
	want, _ := tok.ID("<pad>")
	if got := keysOf(t, filepath.Join(out, configFile))["pad_token_id"]; got != float64(want) {
		t.Errorf("pad_token_id is %v, want %d", got, want)
	}
}

// Weights that are too many for one file are in several, with an index, and have the
// same numbers.
func TestALargeModelIsInSeveralFiles(t *testing.T) {
	dir, out, whole := modelDir("gpt2"), filepath.Join(t.TempDir(), "out"), filepath.Join(t.TempDir(), "whole")
	tensors := weightsOf(t, dir)
	sum, err := full(out, dir, job.Spec{}, tensors, 40_000)
	if err != nil {
		t.Fatal(err)
	}
	again, err := full(out, dir, job.Spec{}, tensors, 40_000)
	if err != nil || again != sum {
		t.Errorf("written again: %s, %v; want %s", again, err, sum)
	}
	if _, err := Full(whole, dir, job.Spec{}, tensors); err != nil {
		t.Fatal(err)
	}
	if got, err := Sum(out); err != nil || got != sum {
		t.Errorf("the files have %s, %v; want %s", got, err, sum)
	}
	if files := namesIn(t, out); !slices.Contains(files, safetensors.IndexFile) || slices.Contains(files, safetensors.SingleFile) {
		t.Errorf("files %q", files)
	}
	want := tensorsOfDir(t, whole)
	got := tensorsOfDir(t, out)
	if len(got) != len(want) {
		t.Errorf("%d tensors, want %d", len(got), len(want))
	}
	for name, x := range want {
		if !slices.Equal(got[name].Data, x.Data) {
			t.Errorf("tensor %s is another", name)
		}
	}
}
