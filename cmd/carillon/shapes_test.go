package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// shapeOf is a small data set of testdata/data, and how a recipe names it.
type shapeOf struct {
	file    string
	dataset string // more keys of the data set, in YAML's braces
	recipe  string // more lines of the recipe
	guess   string // the type that is found out
	whole   bool   // nothing of it is held out: it may be one text
}

// shapes has each format and each shape of data, one small file each.
var shapes = []shapeOf{
	{file: "completion.jsonl", guess: "text"},
	{file: "completion.jsonl.zst", guess: "text"},
	{file: "completion.txt", guess: "text", whole: true},
	{file: "completion.txt.gz", guess: "text", whole: true},
	{file: "pairs.jsonl", guess: "prompt_completion"},
	{file: "pairs.jsonl.gz", guess: "prompt_completion"},
	{file: "pairs.jsonl.zst", guess: "prompt_completion"},
	{file: "pairs.json", guess: "prompt_completion"},
	{file: "pairs.csv", guess: "prompt_completion"},
	{file: "pairs.csv.gz", guess: "prompt_completion"},
	{file: "pairs.tsv", guess: "prompt_completion"},
	{file: "pairs.parquet", guess: "prompt_completion"},
	{file: "alpaca.jsonl", guess: "alpaca"},
	{file: "sharegpt.jsonl", guess: "sharegpt", recipe: "chat_template: chatml"},
	{file: "messages.jsonl", guess: "messages", recipe: "chat_template: chatml"},
	{file: "messages.parquet", guess: "messages", recipe: "chat_template: chatml"},
	{file: "classes.csv", guess: "classification"},
	{file: "classes.tsv", dataset: "field_text: sentence", guess: "classification"},
	{file: "nameless.tsv", dataset: "columns: [text, label]", guess: "classification"},
	{file: "classpairs.jsonl", guess: "classification"},
	{file: "numbers.csv", guess: "regression"},
	{file: "seq2seq.jsonl", guess: "seq2seq", recipe: "source_prefix: 'answer: '"},
}

// recipeOf writes a recipe for a data set, of which some is held out, and returns
// its path.
func recipeOf(t *testing.T, base string, s shapeOf, more string) string {
	t.Helper()
	data, err := filepath.Abs(filepath.Join("testdata", "data", s.file))
	if err != nil {
		t.Fatal(err)
	}
	if s.dataset != "" {
		s.dataset = ", " + s.dataset
	}
	size := 2
	if s.whole {
		size = 0
	}
	text := fmt.Sprintf("base_model: %s\nmethod: lora\nsequence_len: 320\nval_set_size: %d\ndatasets:\n  - {path: %s%s}\n%s\n%s\n",
		base, size, data, s.dataset, s.recipe, more)
	path := filepath.Join(t.TempDir(), "recipe.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
