package corpus

import (
	"errors"
	"path/filepath"
	"reflect"
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
		if slices.Contains(x.Starts, int32(i)) {
			b.WriteString("|")
		}
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

// prepare makes rows of what a recipe reads.
func prepare(t *testing.T, tok *tokenizer.Tokenizer, spec job.Spec) ([]shard.Example, Report, error) {
	t.Helper()
	r, err := Load(t.Context(), spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	if spec, err = r.Resolve(spec, false); err != nil {
		t.Fatal(err)
	}
	return r.Tokenize(t.Context(), spec, tok, spec.SequenceLen, nil)
}

// tokenize makes rows of examples, for one that lacks nothing but what the test says.
func tokenize(t *testing.T, tok *tokenizer.Tokenizer, spec job.Spec, examples ...Example) ([]shard.Example, Report, error) {
	t.Helper()
	r := &Reading{examples: examples}
	spec, err := r.Resolve(spec, spec.TaskType == job.Seq2SeqLM)
	if err != nil {
		t.Fatal(err)
	}
	return r.Tokenize(t.Context(), spec, tok, 0, nil)
}

// completion and text are examples in short.
func completion(prompt, completion string) Example {
	return Example{Kind: TypePairs, Prompt: prompt, Completion: completion, From: "x.jsonl:7"}
}

func text(s string) Example { return Example{Kind: TypeText, Text: s} }

func apart(x Example) Example {
	x.HeldOut = true
	return x
}

func continued(x Example) Example {
	x.Continued = true
	return x
}

func TestTokenize(t *testing.T) {
	tok := bytewise(t, end)
	long := []Example{completion("abc", "defg"), completion("a", "b"), completion("abcdef", "g")}
	for _, tt := range []struct {
		name     string
		examples []Example
		spec     job.Spec
		want     []string
		report   Report
	}{
		{"a pair learns its completion", []Example{completion("ab", "cd"), apart(completion("", "e"))}, job.Spec{SequenceLen: 8},
			[]string{"[a][b]cd<end>", "e<end> held out"},
			Report{Train: 1, HeldOut: 1, Examples: 1, HeldOutExamples: 1, Tokens: 5, Learnt: 3, HeldOutTokens: 2, Longest: 5, P50: 5, P95: 5, Slots: 8}},
		{"train_on_inputs", []Example{completion("ab", "cd")}, job.Spec{SequenceLen: 8, TrainOnInputs: true},
			[]string{"abcd<end>"}, Report{Train: 1, Examples: 1, Tokens: 5, Learnt: 5, Longest: 5, P50: 5, P95: 5, Slots: 8}},
		{"an end of text is not put twice", []Example{completion("a", "b"+end)}, job.Spec{SequenceLen: 8},
			[]string{"[a]b<end>"}, Report{Train: 1, Examples: 1, Tokens: 3, Learnt: 2, Longest: 3, P50: 3, P95: 3, Slots: 8}},
		{"a completion of nothing", []Example{completion("a", "")}, job.Spec{SequenceLen: 8},
			[]string{"[a]<end>"}, Report{Train: 1, Examples: 1, Tokens: 2, Learnt: 1, Longest: 2, P50: 2, P95: 2, Slots: 8, EmptyCompletions: 1}},
		{"drop", long, job.Spec{SequenceLen: 6}, []string{"[a]b<end>"},
			Report{Train: 1, Examples: 1, Tokens: 3, Learnt: 2, Longest: 3, P50: 3, P95: 3, Slots: 6, Dropped: 2, LongestLeftOut: 8}},
		{"truncate", long, job.Spec{SequenceLen: 6, ExcessLengthStrategy: "truncate"}, []string{"[a][b][c]def", "[a]b<end>"},
			Report{Train: 2, Examples: 2, Tokens: 9, Learnt: 5, Longest: 6, P50: 3, P95: 6, Slots: 12, Dropped: 1, Truncated: 1, LongestLeftOut: 8}},
		{"text is put end to end and cut", []Example{text("abcd"), apart(text("xy")), text("ef"), text("ghi")}, job.Spec{SequenceLen: 5},
			[]string{"abcd<end>", "ef<end>gh", "i<end>", "xy<end> held out"},
			Report{Train: 3, HeldOut: 1, Examples: 3, HeldOutExamples: 1, Tokens: 12, Learnt: 12, HeldOutTokens: 3, Longest: 5, P50: 5, P95: 5, Slots: 15, TextBytes: 9, HeldOutTextBytes: 2}},
		{"a text that goes on has no end", []Example{continued(text("ab")), text("cd")}, job.Spec{SequenceLen: 4},
			[]string{"abcd"}, Report{Train: 1, Examples: 1, Tokens: 4, Learnt: 4, Longest: 4, P50: 4, P95: 4, Slots: 4, TextBytes: 4}},
		{"sources without an encoder are prompts", []Example{{Kind: TypeSeq2Seq, Prompt: "a", Completion: "b"}}, job.Spec{SequenceLen: 8, SourcePrefix: "x:"},
			[]string{"[x][:][a]b<end>"}, Report{Train: 1, Examples: 1, Tokens: 5, Learnt: 2, Longest: 5, P50: 5, P95: 5, Slots: 8}},
		{"packs", []Example{completion("a", "bcd"), text("efg"), completion("", "h"), apart(completion("i", "j"))}, job.Spec{SequenceLen: 8, SamplePacking: true},
			[]string{"[a]bcd<end>|[h]<end>", "efg<end>", "[i]j<end> held out"},
			Report{Train: 2, HeldOut: 1, Examples: 3, HeldOutExamples: 1, Tokens: 11, Learnt: 10, HeldOutTokens: 3, Longest: 5, P50: 4, P95: 5, Slots: 16, TextBytes: 3}},
		{"buckets", []Example{completion("a", "b"), completion("a", "bcdef")}, job.Spec{SequenceLen: 8, Buckets: []int{4, 8}},
			[]string{"[a]b<end>", "[a]bcdef<end>"}, Report{Train: 2, Examples: 2, Tokens: 10, Learnt: 8, Longest: 7, P50: 3, P95: 7, Slots: 12}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			out, report, err := tokenize(t, tok, tt.spec, tt.examples...)
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
			tt.report.Task, tt.report.SequenceLen = job.CausalLM, tt.spec.SequenceLen
			if !reflect.DeepEqual(report, tt.report) {
				t.Errorf("report\n%+v, want\n%+v", report, tt.report)
			}
		})
	}
}

func TestTokenizeRefuses(t *testing.T) {
	one := completion("abc", "defg")
	for _, tt := range []struct {
		tok   *tokenizer.Tokenizer
		x     Example
		spec  job.Spec
		limit int
		want  string
	}{
		{bytewise(t), one, job.Spec{SequenceLen: 64}, 0, "eos_token"},
		{bytewise(t, end), one, job.Spec{SequenceLen: 1}, 0, "sequence_len 1"},
		{bytewise(t, end), one, job.Spec{SequenceLen: 300}, 256, "sequence_len 300 exceeds the 256"},
		{bytewise(t, end), one, job.Spec{SequenceLen: 4, ExcessLengthStrategy: "error"}, 0, "x.jsonl:7: 8 tokens, more than sequence_len 4"},
		{bytewise(t, end), one, job.Spec{SequenceLen: 4, ExcessLengthStrategy: "wrap"}, 0, `excess_length_strategy "wrap"`},
		{bytewise(t, end), one, job.Spec{SequenceLen: 4}, 0, "no training example is left: 0 examples held out, 1 longer than sequence_len 4 (the longest has 8 tokens), which has to be larger"},
		{bytewise(t, end), apart(text("abcd")), job.Spec{SequenceLen: 4}, 0, "no training example is left: 1 example held out"},
		{bytewise(t, end), completion("", ""), job.Spec{SequenceLen: 4}, 0, "x.jsonl:7: nothing to learn"},
		{bytewise(t, end), completion("", ""), job.Spec{SequenceLen: 4, OnBadRow: "skip"}, 0, "1 unusable"},
	} {
		r := &Reading{examples: []Example{tt.x}}
		spec, err := r.Resolve(tt.spec, false)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.Tokenize(t.Context(), spec, tt.tok, tt.limit, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("err = %v; want %q", err, tt.want)
		}
	}
	r := &Reading{examples: []Example{apart(one)}, report: Report{Overlap: 3, OverlapLeft: true}}
	if _, _, err := r.Tokenize(t.Context(), job.Spec{SequenceLen: 16}, bytewise(t, end), 0, nil); err == nil || !strings.Contains(err.Error(), "1 example held out, 3 left out by remove_overlap") {
		t.Errorf("err = %v; want one that counts what was removed", err)
	}
	if _, _, err := tokenize(t, bytewise(t, end), job.Spec{SequenceLen: 4}); !errors.Is(err, ErrEmpty) {
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
	examples, report, err := prepare(t, tok, spec)
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
