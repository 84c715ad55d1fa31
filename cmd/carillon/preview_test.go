package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"carillon/tokenizer"
)

// previewOf runs preview and returns what it prints, which must be without an
// error.
func previewOf(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), append([]string{"preview"}, args...), nil, &stdout, &stderr); code != 0 || stderr.Len() > 0 {
		t.Fatalf("%q: status %d: %s", args, code, stderr.String())
	}
	return stdout.String()
}

// decoderBase makes a directory of what preview reads of a small GPT-2: no
// weights.
func decoderBase(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	tok, err := tokenizer.TrainBPE(slices.Values([]string{"What does the cow say? The dog says woof."}), 270, []string{"<|endoftext|>", "<|im_start|>", "<|im_end|>"})
	if err != nil {
		t.Fatal(err)
	}
	if err := tok.Write(dir); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "config.json"), `{"model_type":"gpt2","vocab_size":270,"n_positions":512}`)
	write(t, filepath.Join(dir, "tokenizer_config.json"), `{"eos_token":"<|endoftext|>"}`)
	return dir
}

// fixtureBase makes such a directory of a tokenizer among the fixtures.
func fixtureBase(t *testing.T, name, config string) string {
	t.Helper()
	dir := t.TempDir()
	from := filepath.Join("..", "..", "tokenizer", "testdata", name)
	for _, file := range []string{"tokenizer.json", "tokenizer_config.json"} {
		data, err := os.ReadFile(filepath.Join(from, file))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, file), string(data))
	}
	write(t, filepath.Join(dir, "config.json"), config)
	return dir
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Each format and each shape is shown as the model will see it.
func TestPreviewOfEachShape(t *testing.T) {
	want := map[string][]string{
		"text":              {"The cow says moo.", "<|endoftext|>"},
		"prompt_completion": {"pairs.", "What does the cow say?⟦ Moo!<|endoftext|>⟧\n", " of them learnt\n", "(held out): "},
		"alpaca":            {"### Instruction:↵\nName the sound.↵\n↵\n### Response:↵\n⟦", "### Input:↵\ndog↵\n"},
		"sharegpt":          {"<|im_start|>user↵\nWhat says the cow?<|im_end|>↵\n<|im_start|>assistant↵\n⟦Moo<|im_end|>⟧↵\n<|im_start|>user↵\nLouder.<|im_end|>↵\n<|im_start|>assistant↵\n⟦MOO<|im_end|>⟧"},
		"messages":          {"<|im_start|>system↵\nYou are a farm.<|im_end|>↵\n", "<|im_start|>assistant↵\n⟦Moo<|im_end|>⟧"},
		"classification":    {", class 0, ", ", class 1, ", "(held out): ", "labels "},
		"regression":        {", value 3\na fine film\n", "values    "},
		"seq2seq":           {"answer: cow⟦The cow says moo.<|endoftext|>⟧\n"},
	}
	base := decoderBase(t)
	for _, s := range shapes {
		t.Run(s.file, func(t *testing.T) {
			got := previewOf(t, recipeOf(t, base, s, ""), "-n", "8")
			for _, w := range append(want[s.guess], fmt.Sprintf("of type %s (guessed)", s.guess), "1. ", "training  ", "held out  ") {
				if !strings.Contains(got, w) && !strings.Contains(got, strings.NewReplacer("cow", "dog", "oo", "oof", "Moo", "Woof", "moo", "woof").Replace(w)) {
					t.Errorf("lacks %q:\n%s", w, got)
				}
			}
		})
	}
}

// An encoder-decoder shows what its encoder reads and what its decoder says.
func TestPreviewForT5(t *testing.T) {
	base := fixtureBase(t, "t5", `{"model_type":"t5","is_encoder_decoder":true,"n_positions":8,"vocab_size":2100}`)
	got := previewOf(t, recipeOf(t, base, shapes[len(shapes)-1], ""), "-n", "1")
	for _, want := range []string{"target of ", "answer:", "</s>\ntarget\n⟦", "</s>⟧\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
}

// Pairs of texts stand in BERT's special tokens.
func TestPreviewForBERT(t *testing.T) {
	base := fixtureBase(t, "bert-uncased", `{"model_type":"bert","max_position_embeddings":512,"vocab_size":2000}`)
	s := shapes[slices.IndexFunc(shapes, func(s shapeOf) bool { return s.file == "classpairs.jsonl" })]
	got := previewOf(t, recipeOf(t, base, s, ""), "-n", "1")
	for _, want := range []string{`"entailment"`, "text 1\n[CLS]", "[SEP]\ntext 2\n", "[SEP]\n"} {
		if !strings.Contains(got, want) && !strings.Contains(got, strings.ReplaceAll(want, "entailment", "neutral")) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
}

func TestPreviewColoursAndPacks(t *testing.T) {
	base := decoderBase(t)
	recipe := recipeOf(t, base, shapeOf{file: "pairs.jsonl", whole: true}, "")
	got := previewOf(t, recipe, "-n", "1", "--color", "always")
	if want := "\x1b[32m Moo!\x1b[7m<|endoftext|>\x1b[27m\x1b[0m\n"; !strings.Contains(got, want) || strings.Contains(got, "⟦") {
		t.Errorf("lacks %q:\n%q", want, got)
	}
	got = previewOf(t, recipe, "-n", "1", "--set", "sample_packing=true")
	for _, want := range []string{"1. pack of ", "part 2, pairs.jsonl:", "1 pack of 8 examples; "} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
}

func TestPreviewJSON(t *testing.T) {
	var got struct {
		Task     string   `json:"task_type"`
		Labels   []string `json:"labels"`
		Weights  []float64
		Examples []struct {
			From    []string
			HeldOut bool `json:"held_out"`
			Tokens  []int32
			Label   string
			Class   int
			Parts   [][]struct{ Text string }
		}
		Warnings []string
		Training int `json:"training_examples"`
	}
	text := previewOf(t, recipeOf(t, decoderBase(t), shapeOf{file: "classes.csv"}, ""), "-n", "3", "--json")
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		t.Fatal(err)
	}
	if len(got.Examples) != 3 || got.Task != "seq_cls" || !slices.Equal(got.Labels, []string{"bad", "good"}) || got.Training != 6 || len(got.Warnings) == 0 {
		t.Fatalf("got %+v", got)
	}
	for i, x := range got.Examples {
		if x.HeldOut != (i == 2) || got.Labels[x.Class] != x.Label || len(x.Tokens) == 0 || x.Parts[0][0].Text == "" || len(x.From) != 1 {
			t.Errorf("example %d: %+v", i, x)
		}
	}
}

func TestPreviewRefuses(t *testing.T) {
	base := decoderBase(t)
	recipe := recipeOf(t, base, shapeOf{file: "pairs.jsonl"}, "")
	small := t.TempDir()
	for _, name := range []string{"tokenizer.json", "tokenizer_config.json"} {
		data, err := os.ReadFile(filepath.Join(base, name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(small, name), string(data))
	}
	write(t, filepath.Join(small, "config.json"), `{"model_type":"gpt2","vocab_size":200}`)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{recipe, "--color", "red"}, "--color red: want auto, always or never"},
		{[]string{recipe, "-n", "0"}, "--number 0"},
		{[]string{recipe, "--set", "sequence_len=600"}, "sequence_len 600 exceeds the 512 tokens"},
		{[]string{recipe, "--set", "balance=weights"}, "balance: weights; the data is for causal_lm"},
		{[]string{recipe, "--set", "base_model=" + t.TempDir()}, "config.json"},
		{[]string{recipe, "--set", "base_model=" + small}, "the tokenizer has 270 tokens, and the model's vocab_size is 200"},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(t.Context(), append([]string{"preview"}, tt.args...), nil, &stdout, &stderr); code == 0 || !strings.Contains(stderr.String(), tt.want) || strings.Count(stderr.String(), "\n") != 1 {
			t.Errorf("%q: status %d, %q; want one line with %q", tt.args, code, stderr.String(), tt.want)
		}
	}
}
