package corpus

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"carillon/job"
	"carillon/shard"
	"carillon/tokenizer"
)

// fixture opens a tokenizer among the fixtures, those of package tokenizer or,
// where they are large, the shared ones.
func fixture(t *testing.T, name string) *tokenizer.Tokenizer {
	t.Helper()
	for _, dir := range []string{"../tokenizer/testdata", "../../shared/fixtures/tokenizers"} {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err != nil {
			continue
		}
		tok, err := tokenizer.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		return tok
	}
	t.Skipf("no tokenizer %s among the fixtures at hand", name)
	return nil
}

// pieces writes a row's tokens as the tokenizer's file does, those that are not
// learnt in parentheses.
func pieces(tok *tokenizer.Tokenizer, x shard.Example) string {
	var out []string
	for i, id := range x.Tokens {
		piece := tok.Token(id)
		if len(x.Labels) == len(x.Tokens) && x.Labels[i] == shard.Ignore {
			piece = "(" + piece + ")"
		}
		if slices.Contains(x.Starts, int32(i)) {
			piece = "| " + piece
		}
		out = append(out, piece)
	}
	return strings.Join(out, " ")
}

// What tokenizers put round texts, and where prompts end.
func TestRowsOfRealTokenizers(t *testing.T) {
	class := func(a, b string) Example {
		return Example{Kind: TypeClassification, Text: a, Text2: b, Label: "x"}
	}
	for _, tt := range []struct {
		tokenizer string
		examples  []Example
		want      string
	}{
		{"llama3", []Example{completion("The", " day")}, "(<|begin_of_text|>)"},
		{"llama3", []Example{text("The"), text("day")}, "<|begin_of_text|>"},
		{"llama2", []Example{completion("The day", "is long")}, "(<s>) (▁The) (▁day) is ▁long </s>"},
		{"llama2", []Example{completion("", "It is")}, "(<s>) ▁It ▁is </s>"},
		{"llama2", []Example{continued(text("The day")), text(" is")}, "<s> ▁The ▁day ▁is </s>"},
		{"gpt2", []Example{completion("The day", " is long")}, "(The) (Ġday) Ġis Ġlong <|endoftext|>"},
		{"bert-uncased", []Example{class("the", "of"), class("the", ""), apart(class("a", "b"))}, "[CLS] the [SEP] | of [SEP]"},
	} {
		tok := fixture(t, tt.tokenizer)
		r := &Reading{examples: append(tt.examples, labelledOther(tt.examples)...)}
		spec, err := r.Resolve(job.Spec{SequenceLen: 16}, false)
		if err != nil {
			t.Fatal(err)
		}
		out, _, err := r.Tokenize(t.Context(), spec, tok, 0, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := pieces(tok, out[0]); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: %s, want %s", tt.tokenizer, got, tt.want)
		}
	}
}

// labelledOther returns an example of a second class, if there are classes.
func labelledOther(examples []Example) []Example {
	if examples[0].Label == "" {
		return nil
	}
	return []Example{{Kind: TypeClassification, Text: "other", Label: "y"}}
}

// A pair that is too long is cut as the tokenizer cuts it.
func TestPairsAreCutAsTokenizersCutThem(t *testing.T) {
	tok := fixture(t, "bert-uncased")
	words := strings.Fields("the of and to in a is that it was for on with he as his")
	for a := 1; a < len(words); a += 2 {
		for b := 1; b < len(words); b += 3 {
			first, second := strings.Join(words[:a], " "), strings.Join(words[:b], " ")
			out, _, err := tokenize(t, tok, job.Spec{SequenceLen: 14}, Example{Kind: TypeRegression, Text: first, Text2: second})
			if err != nil {
				t.Fatal(err)
			}
			want, err := tok.EncodePair(first, second, tokenizer.Truncation{MaxLen: 14})
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(out[0].Tokens, want.IDs) || int(out[0].Starts[0]) != slices.Index(want.Types, 1) {
				t.Errorf("%d and %d words: %v from %v, want %v of types %v", a, b, out[0].Tokens, out[0].Starts, want.IDs, want.Types)
			}
		}
	}
}

// T5's sources and targets end in </s>, cut or not.
func TestSourcesAndTargetsOfT5(t *testing.T) {
	tok := fixture(t, "t5")
	spec := job.Spec{TaskType: job.Seq2SeqLM, SequenceLen: 4, ExcessLengthStrategy: "truncate"}
	out, _, err := tokenize(t, tok, spec, Example{Kind: TypeSeq2Seq, Prompt: "the house is old and wide", Completion: "the"})
	if err != nil {
		t.Fatal(err)
	}
	eos, _ := tok.EOS()
	source, target := out[0].Tokens, out[0].Labels
	if len(source) != 4 || source[3] != eos || target[len(target)-1] != eos || slices.Index(target, eos) != len(target)-1 {
		t.Errorf("source %v, target %v; want both to end in %d", source, target, eos)
	}
}
