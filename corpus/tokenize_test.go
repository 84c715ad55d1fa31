package corpus

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"carillon/job"
	"carillon/shard"
	"carillon/tokenizer"
)

// bytewise is a tokenizer that has learnt nothing: a token a byte, and the end
// of text, 256.
func bytewise(t *testing.T, special ...string) *tokenizer.Tokenizer {
	t.Helper()
	tok, err := tokenizer.TrainBPE(slices.Values([]string{""}), 256+len(special), special)
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

const end = "<end>"

// show writes an example as text, the tokens that are not learnt in brackets.
func show(tok *tokenizer.Tokenizer, x shard.Example) string {
	var b strings.Builder
	for i, id := range x.Tokens {
		text := tok.Decode([]int32{id})
		if x.Labels != nil && x.Labels[i] == shard.Ignore {
			text = "[" + text + "]"
		}
		b.WriteString(text)
	}
	if x.HeldOut {
		b.WriteString(" held out")
	}
	return b.String()
}

func TestTokenize(t *testing.T) {
	tok := bytewise(t, end)
	long := []Example{{Prompt: "abc", Completion: "defg"}, {Prompt: "a", Completion: "b"}, {Prompt: "abcdef", Completion: "g"}}
	for _, tt := range []struct {
		name     string
		examples []Example
		o        Options
		want     []string
		report   Report
	}{
		{"a pair learns its completion", []Example{{Prompt: "ab", Completion: "cd"}, {Completion: "e", HeldOut: true}}, Options{SequenceLen: 8},
			[]string{"[a][b]cd<end>", "e<end> held out"},
			Report{Train: 1, HeldOut: 1, Tokens: 5, Learnt: 3, HeldOutTokens: 2, Longest: 5}},
		{"train_on_inputs", []Example{{Prompt: "ab", Completion: "cd"}}, Options{SequenceLen: 8, TrainOnInputs: true},
			[]string{"abcd<end>"}, Report{Train: 1, Tokens: 5, Learnt: 5, Longest: 5}},
		{"drop", long, Options{SequenceLen: 6}, []string{"[a]b<end>"},
			Report{Train: 1, Tokens: 3, Learnt: 2, Longest: 3, Dropped: 2, LongestLeftOut: 8}},
		{"truncate", long, Options{SequenceLen: 6, Excess: "truncate"}, []string{"[a][b][c]def", "[a]b<end>"},
			Report{Train: 2, Tokens: 9, Learnt: 5, Longest: 6, Dropped: 1, Truncated: 1, LongestLeftOut: 8}},
		{"text is put end to end and cut", []Example{{Text: "abcd"}, {Text: "xy", HeldOut: true}, {Text: "ef"}, {Text: "ghi"}}, Options{SequenceLen: 5},
			[]string{"abcd<end>", "ef<end>gh", "i<end>", "xy<end> held out"},
			Report{Train: 3, HeldOut: 1, Tokens: 12, Learnt: 12, HeldOutTokens: 3, Longest: 5, TextBytes: 9, HeldOutTextBytes: 2}},
		{"a text that goes on has no end", []Example{{Text: "ab", Continued: true}, {Text: "cd"}}, Options{SequenceLen: 4},
			[]string{"abcd"}, Report{Train: 1, Tokens: 4, Learnt: 4, Longest: 4, TextBytes: 4}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var report Report
			out, err := Tokenize(t.Context(), tok, tt.examples, tt.o, &report, nil)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, x := range out {
				got = append(got, show(tok, x))
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if report.Sources = nil; report.String() != tt.report.String() || report.Longest != tt.report.Longest ||
				report.LongestLeftOut != tt.report.LongestLeftOut || report.TextBytes != tt.report.TextBytes || report.HeldOutTextBytes != tt.report.HeldOutTextBytes {
				t.Errorf("report %+v, want %+v", report, tt.report)
			}
		})
	}
}

func TestTokenizeRefuses(t *testing.T) {
	one := []Example{{Prompt: "abc", Completion: "defg", From: "x.jsonl:7"}}
	for _, tt := range []struct {
		tok  *tokenizer.Tokenizer
		x    []Example
		o    Options
		want string
	}{
		{bytewise(t), one, Options{SequenceLen: 64}, "eos_token"},
		{bytewise(t, end), one, Options{SequenceLen: 1}, "sequence_len 1"},
		{bytewise(t, end), one, Options{SequenceLen: 300, Context: 256}, "sequence_len 300 exceeds the 256"},
		{bytewise(t, end), one, Options{SequenceLen: 4, Excess: "error"}, "x.jsonl:7: 8 tokens, more than sequence_len 4"},
		{bytewise(t, end), one, Options{SequenceLen: 4, Excess: "wrap"}, `excess_length_strategy "wrap"`},
		{bytewise(t, end), one, Options{SequenceLen: 4}, "1 longer than sequence_len 4"},
		{bytewise(t, end), []Example{{Text: "abcd", HeldOut: true}}, Options{SequenceLen: 4}, "1 examples read, 1 held out"},
	} {
		_, err := Tokenize(t.Context(), tt.tok, tt.x, tt.o, &Report{}, nil)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("err = %v; want %q", err, tt.want)
		}
	}
	if _, err := Tokenize(t.Context(), bytewise(t, end), nil, Options{SequenceLen: 4}, &Report{}, nil); !errors.Is(err, ErrEmpty) {
		t.Errorf("err = %v; want ErrEmpty", err)
	}
}

// From a recipe's data to a lane's batch.
func TestPrepareForAShard(t *testing.T) {
	var lines strings.Builder
	for i := range 40 {
		lines.WriteString(`{"prompt":"` + strings.Repeat("p", i%5) + `","completion":"` + string(rune('A'+i%26)) + `"}` + "\n")
	}
	spec := job.Spec{
		Datasets:    []job.Dataset{{Path: file(t, "x.jsonl", lines.String())}},
		ValSetSize:  0.25,
		SequenceLen: 16,
		Seed:        7,
	}
	tok := bytewise(t, end)
	examples, report, err := Prepare(t.Context(), spec, tok, 16, nil)
	if err != nil {
		t.Fatal(err)
	}
	if report.Train != 30 || report.HeldOut != 10 {
		t.Errorf("%d to train on, %d held out; want 30 and 10", report.Train, report.HeldOut)
	}
	path := filepath.Join(t.TempDir(), "x.shard")
	if _, err := shard.Build(path, shard.Info{Vocab: tok.VocabSize(), Blank: -1}, examples); err != nil {
		t.Fatal(err)
	}
	s, err := shard.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var b shard.Batch
	p := shard.Plan{Seed: 7, Lanes: 2, MicroBatch: 2, Buckets: []int{8}}
	if err := s.Check(p); err != nil {
		t.Fatal(err)
	}
	s.Batch(&b, p, 3, 1)
	if b.Real != 2 || b.Len != 8 || b.Predicted() < 2 {
		t.Errorf("batch of %d rows, length %d, %d labels", b.Real, b.Len, b.Predicted())
	}
}
