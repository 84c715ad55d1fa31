package tokenizer

import (
	"slices"
	"strings"
	"testing"
)

// recorder is a model that has no ids, and writes down the words it is shown.
type recorder struct{ words []string }

func (r *recorder) encode(_ string, dst []int32) []int32 { return dst }

func (r *recorder) first(word string) int {
	r.words = append(r.words, word)
	return len(word)
}

// wordsOf returns the words that a text is cut into.
func wordsOf(steps []step, text string) []string {
	r := &recorder{words: []string{}}
	t := &Tokenizer{steps: steps, model: r, inParts: r, keep: true, words: map[string][]int32{}}
	t.Encode(text, nil)
	return r.words
}

// What the tokenizers library, version 0.22.2, makes of texts with one part
// alone: each row of testdata/parts.jsonl has the part and, for each of the
// texts in the first row, the normalized text or the words.
func TestPartsAreTheLibrarys(t *testing.T) {
	rows := readLines[struct {
		Texts        []string   `json:"texts"`
		Normalizer   *part      `json:"normalizer"`
		PreTokenizer *part      `json:"pre_tokenizer"`
		Want         [][]string `json:"want"`
	}](t, "testdata/parts.jsonl")
	for _, row := range rows[1:] {
		normalizers, err := newNormalizers(row.Normalizer.as("normalizer"))
		if err != nil {
			t.Error(err)
			continue
		}
		steps, bytes, err := newSteps(row.PreTokenizer.as("pre_tokenizer"), "BPE")
		if err != nil {
			t.Error(err)
			continue
		}
		for i, text := range rows[0].Texts {
			var got []string
			if row.Normalizer != nil {
				got = []string{text}
				for _, n := range normalizers {
					got[0] = n(got[0], front)
				}
			} else {
				got = wordsOf(steps, text)
			}
			for i := range got {
				if bytes {
					got[i] = toAlphabet(got[i])
				}
			}
			if !slices.Equal(got, row.Want[i]) {
				t.Errorf("%s%s: %q: %q, want %q", optionsOf(row.Normalizer), optionsOf(row.PreTokenizer), text, got, row.Want[i])
			}
		}
	}
}

func optionsOf(p *part) string {
	if p == nil {
		return ""
	}
	return strings.TrimSpace(string(p.options))
}
