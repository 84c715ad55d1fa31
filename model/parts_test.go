package model

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"carillon/backend/backendtest"
	"carillon/job"
	"carillon/model/nn"
	"carillon/safetensors"
)

// altered copies a model's directory with its tensors changed.
func altered(t *testing.T, dir string, change func([]safetensors.Tensor) []safetensors.Tensor) string {
	t.Helper()
	files, err := safetensors.OpenDir(filepath.Join("testdata", dir))
	if err != nil {
		t.Fatal(err)
	}
	defer files.Close()
	var all []safetensors.Tensor
	for _, info := range files.Tensors() {
		x := safetensors.Tensor{Name: info.Name, Shape: info.Shape, Data: make([]float32, info.Size())}
		if err := files.Float32(info.Name, x.Data); err != nil {
			t.Fatal(err)
		}
		all = append(all, x)
	}
	var b bytes.Buffer
	if err := safetensors.Write(&b, safetensors.F32, change(all)); err != nil {
		t.Fatal(err)
	}
	out := withConfig(t, filepath.Join("testdata", dir), readFile(t, filepath.Join("testdata", dir, "config.json")))
	if err := os.WriteFile(filepath.Join(out, safetensors.SingleFile), b.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
	return out
}

// named finds a tensor.
func named(all []safetensors.Tensor, name string) int {
	return slices.IndexFunc(all, func(x safetensors.Tensor) bool { return x.Name == name })
}

// T5's embeddings may be in a file under one name, under several, or under a copy's
// alone, but not under the head's alone.
func TestEmbeddingsAreFoundUnderTheirCopies(t *testing.T) {
	const shared, copied = "shared.weight", "decoder.embed_tokens.weight"
	rename := func(name string) func([]safetensors.Tensor) []safetensors.Tensor {
		return func(x []safetensors.Tensor) []safetensors.Tensor { x[named(x, shared)].Name = name; return x }
	}
	repeat := func(change float32) func([]safetensors.Tensor) []safetensors.Tensor {
		return func(x []safetensors.Tensor) []safetensors.Tensor {
			again := x[named(x, shared)]
			again.Name, again.Data = copied, slices.Clone(again.Data)
			again.Data[5] += change
			return append(x, again)
		}
	}
	for _, tt := range []struct {
		name   string
		change func([]safetensors.Tensor) []safetensors.Tensor
		want   string
	}{
		{"under a copy's name", rename(copied), ""},
		{"twice", repeat(0), ""},
		{"twice, and they differ", repeat(1), copied + " differs from " + shared},
		{"under the head's name", rename("lm_head.weight"), shared + " is missing"},
	} {
		dir := altered(t, "t5", tt.change)
		m, err := Load(backendtest.Go(t), dir, Options{})
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if err != nil {
			continue
		}
		got := make([]float32, 256*32)
		i := slices.IndexFunc(m.base, nameIs(shared))
		if err := m.read(m.base, func(r reader) error { return r.value(m.base[i], got) }); err != nil || largest(got) == 0 {
			t.Errorf("%s: the embeddings are %v… (%v)", tt.name, got[:3], err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A bare encoder can be taught classes, with a new head, but not to guess words:
// the head for those would be noise. Another's head in its file is no mistake.
func TestHeadsThatFilesHoldBesideTheirOwn(t *testing.T) {
	spec := job.Spec{Method: "full", BaseModel: "testdata/bert-base", TaskType: job.SeqCls, Labels: []string{"a", "b"}}
	if _, err := Inspect(t.Context(), spec); err != nil {
		t.Error(err)
	}
	spec.TaskType, spec.Labels = job.MaskedLM, nil
	if _, err := Inspect(t.Context(), spec); err == nil || !strings.Contains(err.Error(), "needs the head of a language model") {
		t.Errorf("a bare encoder guesses words: %v", err)
	}
	// The pooler of a file that is a classifier's first layer is the base's own.
	m := openModel(t, backendtest.Go(t), "bert-base")
	if !m.has("bert.pooler.dense.weight") || m.has("classifier.weight") {
		t.Error("the base's parameters are not those of its file")
	}
}

func TestTasksAreForFamilies(t *testing.T) {
	for _, tt := range []struct{ dir, task, want string }{
		{"t5", "", ""}, {"t5", job.Seq2SeqLM, ""},
		{"t5", job.CausalLM, "an encoder and a decoder is for seq2seq_lm"},
		{"t5", job.SeqCls, "an encoder and a decoder is for seq2seq_lm"},
		{"bert-cls", job.CausalLM, "in this one, an encoder, each token sees all others"},
		{"gpt2", job.MaskedLM, "masked_lm needs an encoder"},
		{"llama", job.Seq2SeqLM, "needs a model with an encoder and a decoder"},
	} {
		spec := job.Spec{Method: "full", BaseModel: "testdata/" + tt.dir, TaskType: tt.task}
		_, err := Inspect(t.Context(), spec)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s for %q: %v, want %q", tt.dir, tt.task, err, tt.want)
		}
	}
}

// A decoder's batch is checked, and its program depends on it.
func TestDecoderBatches(t *testing.T) {
	m := openModel(t, backendtest.Go(t), "t5")
	s, err := m.Train(job.Spec{Method: "full"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	good := openFixture(t, "t5/base").batch()
	for want, change := range map[string]func(*Input){
		"33 decoder tokens and 32 targets": func(in *Input) { in.Targets = in.Targets[1:] },
		"3 x 11 targets has 2 decoder":     func(in *Input) { in.DecoderTokens = in.DecoderTokens[:2] },
		"decoder: a batch of 3 x 0":        func(in *Input) { in.TargetLen = 0 },
		"token 256 in row 0":               func(in *Input) { in.DecoderTokens = slices.Clone(in.DecoderTokens); in.DecoderTokens[3] = 256 },
		"label -1 in row 1":                func(in *Input) { in.Targets = slices.Clone(in.Targets); in.Targets[12] = -1 },
	} {
		in := good
		change(&in)
		if _, err := s.Loss(in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	a, err := s.Probe(2, 16, 8, 7)
	if err != nil {
		t.Fatal(err)
	}
	if b, err := s.Probe(2, 16, 9, 7); err != nil || a == b {
		t.Errorf("targets of another length give the same probe, %v", err)
	}
	good.Targets = nil // nothing is asked, and logits are given all the same
	if logits, err := s.NextLogits(good, []int32{0, 3, 10}); err != nil || len(logits) != 3*256 {
		t.Errorf("%d logits, %v", len(logits), err)
	}
	if _, err := s.NextLogits(good, []int32{0, 3, 11}); err == nil {
		t.Error("logits were given behind a decoder's row")
	}
}

func nameIs(name string) func(nn.Decl) bool {
	return func(d nn.Decl) bool { return d.Name == name }
}
