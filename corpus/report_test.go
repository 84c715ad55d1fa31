package corpus

import (
	"strings"
	"testing"

	"carillon/job"
)

func TestReportReadsInAGlance(t *testing.T) {
	r := Report{
		Sources: []Source{
			{Path: "train.csv", Type: TypeClassification, Guessed: true, Examples: 61, BadRows: 2, FirstBad: []string{"train.csv:9: no field \"label\""}},
			{Path: "go:std", Version: "go1.26.8", Type: TypePairs, Examples: 1, Groups: 3},
		},
		Task: job.SeqCls, Method: "lora", Balance: "none", SequenceLen: 32,
		Train: 50, Examples: 50, HeldOut: 10, HeldOutExamples: 10, Tokens: 400, HeldOutTokens: 90, P50: 7, P95: 20, Longest: 32,
		Truncated: 12, LongestLeftOut: 44, Slots: 1600, Duplicates: 4, Overlap: 1,
		Labels: []LabelCount{{"bad", 46, 9}, {"good", 4, 1}},
	}
	want := `train.csv: 61 examples of type classification (guessed), 2 bad, skipped
  skipped train.csv:9: no field "label"
go:std (go1.26.8): 1 example of type prompt_completion, 3 packages
training    50 examples, 400 tokens; half have up to 7 tokens, 95 % up to 20, the longest 32
held out    10 examples, 90 tokens
labels      bad 46 (92.0 %), good 4 (8.0 %)
too long    0 examples left out, 12 cut to sequence_len 32; the longest had 44 tokens
duplicates  4 examples like an earlier one, kept
overlap     1 training example with the input of a held-out one, kept
rows        25.0 % of what is computed is text, the rest padding
warning     50 examples for method lora, which wants 100 or more: watch the held-out loss
warning     class "bad" has more than ten times the examples of "good": consider balance: weights or sampling
warning     20.0 % of the examples are longer than sequence_len 32: raise it, or choose what becomes of them with excess_length_strategy
warning     more than half of what is computed is padding: consider length_buckets`
	if got := r.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestReportOfTexts(t *testing.T) {
	r := Report{Task: job.CausalLM, Method: "full", SequenceLen: 8, Train: 2, Examples: 5, Tokens: 15, Learnt: 9, P50: 3, P95: 4, Longest: 4, Slots: 16, EmptyCompletions: 1, Unusable: 2, FirstUnusable: "x:1: why"}
	want := `training  5 examples, 15 tokens, 60.0 % of them learnt; half have up to 3 tokens, 95 % up to 4, the longest 4
held out  none
unusable  2 examples left out; the first: x:1: why
rows      2 packs of 5 examples; 93.8 % of what is computed is text, the rest padding
warning   5 examples for method full, which wants 1000 or more: watch the held-out loss
warning   1 completion without a word: the model learns to say nothing
warning   nothing is held out, so that overfitting will not be seen: set val_set_size or test_datasets`
	if got := r.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	r.Task, r.Learnt, r.LongestTarget, r.MaxTargetLength, r.Truncated = job.Seq2SeqLM, 7, 3, 3, 5
	if got := r.String(); !strings.Contains(got, "15 tokens, targets of 7 tokens, the longest 3;") || !strings.Contains(got, "5 cut to sequence_len 8 or max_target_length 3") ||
		!strings.Contains(got, "are longer than sequence_len 8 or max_target_length 3: raise it") {
		t.Errorf("got\n%s", got)
	}
	r.Task, r.Least, r.Most, r.Sum = job.Regression, -1, 4, 10
	if got := r.String(); !strings.Contains(got, "from -1 to 4, on average 2\n") {
		t.Errorf("got\n%s", got)
	}
}
