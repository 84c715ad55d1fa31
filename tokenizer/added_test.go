package tokenizer

import (
	"encoding/json"
	"slices"
	"testing"
)

// What the tokenizers library, version 0.22.2, makes of texts with added tokens
// of all kinds in them: testdata/added.jsonl has a tokenizer.json, texts and
// their ids in each row.
func TestAddedTokensAreFoundAsInTheLibrary(t *testing.T) {
	for _, row := range readLines[struct {
		File  json.RawMessage `json:"file"`
		Texts []string        `json:"texts"`
		IDs   [][]int32       `json:"ids"`
	}](t, "testdata/added.jsonl") {
		tok, err := Parse(row.File)
		if err != nil {
			t.Errorf("%v: %s", err, row.File)
			continue
		}
		for i, text := range row.Texts {
			if got := tok.Encode(text, nil); !slices.Equal(got, row.IDs[i]) {
				t.Errorf("%q: %v, want %v, with %s", text, got, row.IDs[i], row.File)
			}
		}
	}
}
