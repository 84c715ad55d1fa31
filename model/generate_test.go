package model

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"carillon/backend"
	"carillon/backend/backendtest"
	"carillon/methods"
)

type run struct {
	Input  []int32 `json:"input_ids"`
	Output []int32 `json:"output_ids"`
}

func openRuns(t *testing.T, name string) []run {
	t.Helper()
	if !strings.Contains(name, "/") {
		name = "gpt2/" + name
	}
	data, err := os.ReadFile("testdata/cases/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Runs []run }
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	return file.Runs
}

// texts are the cases with greedy text of transformers and PEFT.
var texts = []refCase{
	full("gpt2", "base"), lora("gpt2", "lora", on("c_attn")).onXLA(), prompt("gpt2"), prefix("gpt2"),
	full("llama", "base"), lora("llama", "lora", on("q_proj", "v_proj")), prompt("llama").onXLA(), prefix("llama"),
	full("llama3", "base"), full("mistral", "base"), full("qwen2", "base"), full("qwen3", "base"),
	full("t5", "base"), lora("t5", "lora", on("q", "v")).onXLA(), prompt("t5"), prefix("t5"), full("t5-v1_1", "base"),
}

// Whatever its family and method, a model goes on with a text, or answers one, as
// transformers and PEFT do.
func TestGreedyTextIsThatOfTransformers(t *testing.T) {
	for _, c := range texts {
		t.Run(c.model+"/"+c.name, func(t *testing.T) {
			backendtest.Each(t, func(t *testing.T, be *backend.Backend) {
				if be.Kind() != backend.Go && !c.xla && os.Getenv(allOnXLA) == "" {
					t.Skip("another case of the family is on XLA")
				}
				s := c.start(t, openModel(t, be, c.model), openFixture(t, c.model+"/"+c.name))
				runs := "generate-" + c.name
				if c.name == "base" {
					runs = "generate"
				}
				checkRuns(t, s, openRuns(t, c.model+"/"+runs))
			})
		})
	}
}

// checkRuns continues all prompts in one batch, and each alone (on the Go backend:
// XLA would compile once more).
func checkRuns(t *testing.T, s *Session, runs []run) {
	t.Helper()
	var prompts, want [][]int32
	for _, r := range runs {
		prompts, want = append(prompts, r.Input), append(want, r.Output)
	}
	got, err := s.Generate(prompts, 12, -1)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if !slices.Equal(got[i], want[i]) {
			t.Errorf("prompt %d in a batch: %v, want %v", i, got[i], want[i])
		}
		if s.model.compute.Name() != "go" {
			continue
		}
		alone, err := s.Generate(prompts[i:i+1], 12, -1)
		if err != nil || !slices.Equal(alone[0], want[i]) {
			t.Errorf("prompt %d alone: %v, want %v, %v", i, alone, want[i], err)
		}
	}
}

func TestGenerateStops(t *testing.T) {
	s := startSession(t, openModel(t, backendtest.Go(t), "gpt2"), methods.Full{})
	prompt := openRuns(t, "generate")[0].Input
	many := slices.Repeat([][]int32{prompt}, 2*generateRows+1) // more than one batch
	got, err := s.Generate(many, 12, 43)                       // 38 236 236 236 236 42 243 64 83 83 120 38
	if err != nil || len(got) != len(many) {
		t.Fatalf("%d texts, want %d, %v", len(got), len(many), err)
	}
	for stop, want := range map[int32]int{83: 8, 38: 0, -1: 12} {
		got, err := s.Generate(many[:1], 12, stop)
		if err != nil || len(got[0]) != want {
			t.Errorf("until %d: %v, want %d tokens, %v", stop, got, want, err)
		}
	}
	if _, err := s.Generate([][]int32{prompt}, 59, -1); err == nil {
		t.Error("a text longer than the context was begun")
	}
	if _, err := s.Generate([][]int32{{}}, 1, -1); err == nil {
		t.Error("an empty prompt was continued")
	}
}
