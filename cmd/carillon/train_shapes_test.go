package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"carillon/ask/asktest"
	"carillon/backend"
	"carillon/launch"
)

// wide is the smallest GPT-2 that takes conversations.
const wide = `{"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"], "vocab_size": 260, "n_embd": 16, "n_head": 2,
"n_layer": 1, "n_positions": 320, "n_inner": null, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-05,
"initializer_range": 0.02, "tie_word_embeddings": true, "bos_token_id": 259, "eos_token_id": 259}`

// wideBase makes it.
func wideBase(t *testing.T) string {
	t.Helper()
	be, err := backend.Open(context.Background(), backend.Options{Name: backend.Go})
	if err != nil {
		t.Fatal(err)
	}
	defer be.Close()
	base := filepath.Join(t.TempDir(), "base")
	if err := asktest.Make(be, base, wide, 260); err != nil {
		t.Fatal(err)
	}
	return base
}

// Each format and shape of data is trained on, by the program as a user starts it.
func TestTrainReadsEveryShape(t *testing.T) {
	base := wideBase(t)
	for _, s := range shapes {
		t.Run(s.file, func(t *testing.T) {
			t.Parallel()
			checkTrained(t, recipeOf(t, base, s, "lanes: 2\nmax_steps: 2"), s)
		})
	}
}

// So are data sets that people have: SST-2 with a validation file of its own, AG
// News without a line of names.
func TestTrainReadsSST2AndAGNews(t *testing.T) {
	base := wideBase(t)
	for name, data := range map[string]string{
		"sst2":   "datasets: [{path: %[1]s/sst2/train.tsv}]\ntest_datasets: [{path: %[1]s/sst2/dev.tsv}]\n",
		"agnews": "datasets: [{path: %[1]s/agnews/train.tsv, columns: [text, label]}]\ntest_datasets: [{path: %[1]s/agnews/test.tsv, columns: [text, label]}]\nbalance: weights\n",
	} {
		t.Run(name, func(t *testing.T) {
			root, err := filepath.Abs("../../../shared/data")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := os.Stat(filepath.Join(root, name)); err != nil {
				t.Skipf("no third-party data here: %v", err)
			}
			recipe := filepath.Join(t.TempDir(), "recipe.yaml")
			text := fmt.Sprintf("base_model: "+base+"\nmethod: lora\nsequence_len: 64\neval_examples: 8\nlanes: 2\nmax_steps: 2\n"+data, root)
			if err := os.WriteFile(recipe, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			checkTrained(t, recipe, shapeOf{guess: "classification"})
		})
	}
}

func checkTrained(t *testing.T, recipe string, s shapeOf) {
	t.Helper()
	out := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "carillon", "train", recipe, "--out", out, "--backend", "go", "--coordinators", "1", "--json")
	var errs strings.Builder
	cmd.Stderr = &errs
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, errs.String())
	}
	var res launch.Result
	if err := json.Unmarshal(text, &res); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	if res.Steps != 2 || math.IsNaN(res.Loss) || res.Loss <= 0 || res.HeldOutLoss == nil != s.whole {
		t.Errorf("ended with %+v", res)
	}
	if !strings.Contains(errs.String(), s.guess) {
		t.Errorf("it does not say that it takes the records for %s: %s", s.guess, errs.String())
	}
	if _, err := os.Stat(filepath.Join(out, launch.AdapterDir, "adapter_config.json")); err != nil {
		t.Error(err)
	}
}
