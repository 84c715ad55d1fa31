package corpus

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"carillon/job"
	"carillon/shard"
)

// maskedRows makes rows of texts for masked_lm, with BERT's tokenizer.
func maskedRows(t *testing.T, spec job.Spec, examples ...Example) ([]string, Report, error) {
	t.Helper()
	tok := fixture(t, "bert-uncased")
	spec.TaskType = job.MaskedLM
	rows, report, err := tokenize(t, tok, spec, examples...)
	var out []string
	for _, x := range rows {
		row := pieces(tok, x)
		if x.HeldOut {
			row += " held out"
		}
		out = append(out, row)
	}
	return out, report, err
}

func TestTextsToBeMasked(t *testing.T) {
	for _, tt := range []struct {
		name     string
		spec     job.Spec
		examples []Example
		want     []string
		dropped  int
		cut      int
	}{
		{"each text in its frame", job.Spec{SequenceLen: 8}, []Example{text("the of"), apart(text("a"))},
			[]string{"([CLS]) the of ([SEP])", "([CLS]) a ([SEP]) held out"}, 0, 0},
		{"what is special is not asked for", job.Spec{SequenceLen: 8}, []Example{text("the [MASK] of \u4e2d")},
			[]string{"([CLS]) the ([MASK]) of ([UNK]) ([SEP])"}, 0, 0},
		{"a long text in pieces, a frame each, but for a last word alone", job.Spec{SequenceLen: 5}, []Example{text("the of a the of a the of"), text("of a the the")},
			[]string{"([CLS]) the of a ([SEP])", "([CLS]) the of a ([SEP])", "([CLS]) the of ([SEP])", "([CLS]) of a the ([SEP])"}, 0, 0},
		{"truncate", job.Spec{SequenceLen: 5, ExcessLengthStrategy: "truncate"}, []Example{text("the of a the of")},
			[]string{"([CLS]) the of a ([SEP])"}, 0, 1},
		{"drop", job.Spec{SequenceLen: 5, ExcessLengthStrategy: "drop"}, []Example{text("the of a the of"), text("a")},
			[]string{"([CLS]) a ([SEP])"}, 1, 0},
		{"stretches of a text, of which one is empty", job.Spec{SequenceLen: 8}, []Example{continued(text("the of")), continued(text(" \n")), text("a")},
			[]string{"([CLS]) the of ([SEP])", "([CLS]) a ([SEP])"}, 0, 0},
		{"a bad row", job.Spec{SequenceLen: 8, OnBadRow: "skip"}, []Example{text(""), text("a")},
			[]string{"([CLS]) a ([SEP])"}, 0, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, report, err := maskedRows(t, tt.spec, tt.examples...)
			if err != nil || !slices.Equal(got, tt.want) {
				t.Errorf("got %q, want %q, %v", got, tt.want, err)
			}
			if report.Dropped != tt.dropped || report.Truncated != tt.cut || report.EmptyCompletions > 0 {
				t.Errorf("%d dropped, %d cut, %d empty; want %d, %d and 0", report.Dropped, report.Truncated, report.EmptyCompletions, tt.dropped, tt.cut)
			}
		})
	}
}

func TestReportOfMaskedTexts(t *testing.T) {
	_, report, err := maskedRows(t, job.Spec{SequenceLen: 8, MLMProbability: 0.2}, text("the of a"), text("the"))
	if want := "training  2 examples, 8 tokens, 20 % of 4 asked for, others each time;"; err != nil || !strings.HasPrefix(report.String(), want) {
		t.Errorf("got %s, want %s, %v", report, want, err)
	}
	const short = "texts are so short that more than mlm_probability 0.2 of them is asked for: one token of each at least"
	if !slices.Contains(report.Warnings(), short) {
		t.Errorf("texts of two words: warnings %q, want %q", report.Warnings(), short)
	}
	report.Learnt = 10 // of two texts
	if slices.Contains(report.Warnings(), short) {
		t.Error("texts of five words are called too short")
	}
}

func TestTextsToBeMaskedAreRefused(t *testing.T) {
	for _, tt := range []struct {
		x    Example
		spec job.Spec
		want string
	}{
		{Example{Kind: TypeText, From: "x.txt:3"}, job.Spec{SequenceLen: 8}, "x.txt:3: nothing to learn: its text has no token that can be hidden"},
		{Example{Kind: TypeText, From: "x.txt:3", Text: "[SEP]"}, job.Spec{SequenceLen: 8}, "x.txt:3: nothing to learn"},
		{text("a"), job.Spec{SequenceLen: 2}, "sequence_len 2: want at least 5"},
		{Example{Kind: TypeText, From: "x.txt:3", Text: "a the of a"}, job.Spec{SequenceLen: 5, ExcessLengthStrategy: "error"}, "x.txt:3: 6 tokens, more than sequence_len 5"},
	} {
		if _, _, err := maskedRows(t, tt.spec, tt.x); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("err = %v; want %q", err, tt.want)
		}
	}
	_, _, err := tokenize(t, bytewise(t, end), job.Spec{SequenceLen: 8, TaskType: job.MaskedLM}, text("a"))
	if err == nil || !strings.Contains(err.Error(), "names no mask token, which stands for a hidden one: add mask_token to its tokenizer_config.json") {
		t.Errorf("without a mask token: %v", err)
	}
}

// What preview shows is what the job's batches have: each training row as it first
// comes, and the held-out one.
func TestPreviewHidesWhatTheBatchesHide(t *testing.T) {
	tok := fixture(t, "bert-uncased")
	r := &Reading{}
	for _, words := range []string{"the of a in", "of a in the and to", "a in the of", "in the of a and", "and the of a"} {
		r.examples = append(r.examples, text(words))
	}
	r.examples[4].HeldOut = true
	spec, err := r.Resolve(job.Spec{TaskType: job.MaskedLM, SequenceLen: 8, Seed: 5, Lanes: 1, MicroBatchSize: 4, MaxSteps: 1}, false)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.shard")
	if _, _, err := r.Build(t.Context(), path, spec, Model{Tokenizer: tok, Vocab: tok.VocabSize() + 100}, nil); err != nil {
		t.Fatal(err)
	}
	s, err := shard.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if mask, _ := tok.MASK(); s.Info().Blank != mask || s.Vocab() != tok.VocabSize() {
		t.Errorf("%d hides tokens, and they are replaced by ids below %d; want %d and %d", s.Info().Blank, s.Vocab(), mask, tok.VocabSize())
	}
	rows, _, err := r.Preview(t.Context(), spec, tok, 0, 5)
	if err != nil || len(rows) != 5 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	var b, held shard.Batch
	s.Batch(&b, shard.PlanOf(spec), 0, 0)
	s.EvalBatch(&held, shard.PlanOf(spec), 0)
	for i, row := range rows {
		in, at := &b, int(shard.FirstPosition(5, uint64(i)%4, 4))
		if row.HeldOut {
			in, at = &held, 0
		}
		at *= in.Len
		n := len(row.Tokens)
		if !slices.Equal(row.Tokens, in.Tokens[at:at+n]) || !slices.Equal(row.Labels, in.Labels[at:at+n]) {
			t.Errorf("row %d: tokens %v, labels %v; the batch has %v, %v", i, row.Tokens, row.Labels, in.Tokens[at:at+n], in.Labels[at:at+n])
		}
		if row.Learnt() == 0 || textOf(row.Target) != "[CLS]"+r.examples[i].Text+"[SEP]" {
			t.Errorf("row %d: %d asked for of %q", i, row.Learnt(), textOf(row.Target))
		}
	}
}

// textOf is a part without what is known of its stretches.
func textOf(p Part) (text string) {
	for _, s := range p {
		text += s.Text
	}
	return text
}
