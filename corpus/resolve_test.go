package corpus

import (
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"carillon/job"
)

// labelled returns an example of each label, in order; those after "|" are held
// out.
func labelled(labels ...string) []Example {
	var out []Example
	held := false
	for _, l := range labels {
		if l == "|" {
			held = true
			continue
		}
		out = append(out, Example{Kind: TypeClassification, Text: "x", Label: l, From: "x.csv:" + l, HeldOut: held})
	}
	return out
}

func TestResolve(t *testing.T) {
	seq2seq := []Example{{Kind: TypeSeq2Seq, Prompt: "a", Completion: "b"}}
	for _, tt := range []struct {
		name           string
		examples       []Example
		spec           job.Spec
		encoderDecoder bool
		want           job.Spec
	}{
		{"pairs and text together", []Example{completion("a", "b"), text("c"), {Kind: TypeMessages}}, job.Spec{}, false,
			job.Spec{TaskType: job.CausalLM, ExcessLengthStrategy: "drop"}},
		{"sources and targets for a decoder", append(seq2seq, text("c")), job.Spec{ExcessLengthStrategy: "error"}, false,
			job.Spec{TaskType: job.CausalLM, ExcessLengthStrategy: "error"}},
		{"sources and targets", seq2seq, job.Spec{MaxTargetLength: 3}, true,
			job.Spec{TaskType: job.Seq2SeqLM, MaxTargetLength: 3, ExcessLengthStrategy: "drop"}},
		{"a prompt is a source", []Example{completion("a", "b")}, job.Spec{SourcePrefix: "sum: "}, true,
			job.Spec{TaskType: job.Seq2SeqLM, SourcePrefix: "sum: ", ExcessLengthStrategy: "drop"}},
		{"texts with hidden words", []Example{text("a"), text("b")}, job.Spec{TaskType: job.MaskedLM}, false,
			job.Spec{TaskType: job.MaskedLM, MLMProbability: 0.15}},
		{"overlap with a test set", []Example{text("a")}, job.Spec{RemoveOverlap: true, TestDatasets: []job.Dataset{{Path: "x"}}}, false,
			job.Spec{RemoveOverlap: true, TestDatasets: []job.Dataset{{Path: "x"}}, TaskType: job.CausalLM, ExcessLengthStrategy: "drop"}},
		{"overlap with a list", []Example{text("a")}, job.Spec{RemoveOverlap: true, Datasets: []job.Dataset{{HeldOut: []string{"sync"}}}}, false,
			job.Spec{RemoveOverlap: true, Datasets: []job.Dataset{{HeldOut: []string{"sync"}}}, TaskType: job.CausalLM, ExcessLengthStrategy: "drop"}},
		{"numbers", []Example{{Kind: TypeRegression, Value: 2}}, job.Spec{}, false,
			job.Spec{TaskType: job.Regression, ExcessLengthStrategy: "truncate"}},
		{"names are sorted", labelled("pos", "neg", "10", "9", "pos"), job.Spec{ExcessLengthStrategy: "drop"}, false,
			job.Spec{TaskType: job.SeqCls, Labels: []string{"10", "9", "neg", "pos"}, ExcessLengthStrategy: "drop"}},
		{"numbers are sorted by size", labelled("10", "9", "-1", "|", "9"), job.Spec{}, false,
			job.Spec{TaskType: job.SeqCls, Labels: []string{"-1", "9", "10"}, ExcessLengthStrategy: "truncate"}},
		{"labels of the recipe keep their order, and may be more", labelled("a", "b"), job.Spec{Labels: []string{"c", "b", "a"}}, false,
			job.Spec{TaskType: job.SeqCls, Labels: []string{"c", "b", "a"}, ExcessLengthStrategy: "truncate"}},
		{"weights", labelled("a", "a", "a", "b", "|", "b"), job.Spec{Balance: "weights"}, false,
			job.Spec{TaskType: job.SeqCls, Balance: "weights", Labels: []string{"a", "b"}, ClassWeights: []float64{4. / 6, 2}, ExcessLengthStrategy: "truncate"}},
		{"weights of the recipe", labelled("a", "b"), job.Spec{ClassWeights: []float64{1, 3}}, false,
			job.Spec{TaskType: job.SeqCls, Labels: []string{"a", "b"}, ClassWeights: []float64{1, 3}, ExcessLengthStrategy: "truncate"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &Reading{examples: tt.examples}
			got, err := r.Resolve(tt.spec, tt.encoderDecoder)
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %+v, want %+v", got, tt.want)
			}
			if again, err := r.Resolve(got, tt.encoderDecoder); err != nil || !reflect.DeepEqual(again, got) {
				t.Errorf("resolved again: %+v, %v; want the same", again, err)
			}
		})
	}
}

func TestResolveRefuses(t *testing.T) {
	for _, tt := range []struct {
		examples       []Example
		spec           job.Spec
		encoderDecoder bool
		want           string
	}{
		{append(labelled("a", "b"), completion("a", "b")), job.Spec{}, false, "two tasks: seq_cls at x.csv:a, causal_lm at x.jsonl:7"},
		{labelled("a", "b"), job.Spec{}, true, "x.csv:a is of type classification"},
		{[]Example{completion("a", "b")}, job.Spec{TaskType: job.SeqCls}, false, "task_type: seq_cls; the data is for causal_lm"},
		{[]Example{completion("a", "b")}, job.Spec{Balance: "weights"}, false, "balance: weights; the data is for causal_lm"},
		{[]Example{completion("a", "b")}, job.Spec{Labels: []string{"a"}}, false, "labels and class_weights are for classification"},
		{[]Example{completion("a", "b")}, job.Spec{MaxTargetLength: 4}, false, "max_target_length: 4"},
		{labelled("a", "b"), job.Spec{SamplePacking: true}, false, "sample_packing: true"},
		{[]Example{completion("a", "b")}, job.Spec{ChatTemplate: "chatml"}, false, "chat_template: chatml; only conversations (type messages or sharegpt) are written by one, and the data has none"},
		{[]Example{completion("a", "b")}, job.Spec{MaskHistory: true}, false, "mask_history: true; only conversations"},
		{[]Example{completion("a", "b")}, job.Spec{SourcePrefix: "sum: "}, false, `source_prefix: "sum: "; only sources (type seq2seq) have one before them, and the data has none`},
		{labelled("a", "b"), job.Spec{TrainOnInputs: true}, false, "train_on_inputs: true; the data is for seq_cls, in which inputs are not learnt"},
		{[]Example{text("a"), completion("a", "b")}, job.Spec{TaskType: job.MaskedLM}, false, "task_type: masked_lm; it learns from texts (type completion), and x.jsonl:7 is of type prompt_completion"},
		{[]Example{text("a")}, job.Spec{MLMProbability: 0.2}, false, "mlm_probability: 0.2; only task_type masked_lm hides tokens, and the data is for causal_lm"},
		{[]Example{text("a")}, job.Spec{TaskType: job.MaskedLM, SamplePacking: true}, false, "sample_packing: true; only examples of task_type causal_lm are packed, and the data is for masked_lm"},
		{[]Example{text("a")}, job.Spec{GroupBy: "author"}, false, "group_by: author; it says which records val_set_size holds out together, and val_set_size is 0"},
		{[]Example{text("a")}, job.Spec{RemoveOverlap: true}, false, "remove_overlap: true; nothing is held out that training examples could repeat"},
		{labelled("a", "a"), job.Spec{}, false, `has the label ["a"]: want two`},
		{labelled("a", "b", "|", "c"), job.Spec{}, false, `x.csv:c: label "c" is held out, and no training example has it; these have ["a" "b"]`},
		{labelled("a", "b", "b"), job.Spec{Labels: []string{"a", "c"}}, false, `labels: ["a" "c"] lack "b", which 2 training examples have`},
		{labelled("a", "b"), job.Spec{Labels: []string{"a", "b", "c"}, Balance: "weights"}, false, `no training example has the label "c"`},
		{labelled("a", "b"), job.Spec{ClassWeights: []float64{1}}, false, `1 weights for the 2 labels ["a" "b"]`},
	} {
		_, err := (&Reading{examples: tt.examples}).Resolve(tt.spec, tt.encoderDecoder)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("err = %v; want %q", err, tt.want)
		}
	}
}

// What a file's records are for is found out.
func TestResolveOfAFile(t *testing.T) {
	r, err := Load(t.Context(), job.Spec{Datasets: []job.Dataset{{Path: file(t, "x.csv", "text,label\na,no\nb,yes\nc,no\n")}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.Resolve(job.Spec{}, false); err != nil || got.TaskType != job.SeqCls || !slices.Equal(got.Labels, []string{"no", "yes"}) {
		t.Errorf("task %s, labels %q, err %v", got.TaskType, got.Labels, err)
	}
}

func TestClassesAndNumbers(t *testing.T) {
	tok := bytewise(t, end)
	pair := func(a, b, label string) Example {
		return Example{Kind: TypeClassification, Text: a, Text2: b, Label: label, From: "x.csv:7"}
	}
	out, report, err := tokenize(t, tok, job.Spec{SequenceLen: 6},
		pair("abc", "", "b"), pair("abcdefgh", "", "a"), pair("ab", "cd", "b"), pair("abcdefgh", "ij", "b"), pair("abcdef", "ghijkl", "b"), apart(pair("x", "", "a")))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"abc 1", "abcdef 0", "ab|cd 1", "abcd|ij 1", "abc|ghi 1", "x held out 0"}
	for i, x := range out {
		label := x.Labels[0]
		x.Labels = nil
		if got := show(tok, x) + " " + string(rune('0'+label)); got != want[i] {
			t.Errorf("got %q, want %q", got, want[i])
		}
	}
	if l := report.Labels; report.Truncated != 3 || l[0] != (LabelCount{"a", 1, 1}) || l[1] != (LabelCount{"b", 4, 0}) {
		t.Errorf("%d cut, labels %v", report.Truncated, l)
	}
	number := Example{Kind: TypeRegression, Text: "abcdefgh", Value: -0.1, From: "x.csv:7"}
	out, report, err = tokenize(t, tok, job.Spec{SequenceLen: 6}, number, Example{Kind: TypeRegression, Text: "a", Value: 3})
	if err != nil {
		t.Fatal(err)
	}
	if got := math.Float32frombits(uint32(out[0].Labels[0])); got != float32(-0.1) || report.Least != -0.1 || report.Most != 3 || report.Sum != 2.9 {
		t.Errorf("value %v, from %v to %v, %v in all", got, report.Least, report.Most, report.Sum)
	}
	if _, _, err := tokenize(t, tok, job.Spec{SequenceLen: 6, ExcessLengthStrategy: "error"}, number); err == nil || !strings.Contains(err.Error(), "x.csv:7: 8 tokens") {
		t.Errorf("err = %v; want one that names the place", err)
	}
	if _, _, err := tokenize(t, tok, job.Spec{SequenceLen: 6}, Example{Kind: TypeRegression, From: "x.csv:8"}); err == nil || !strings.Contains(err.Error(), "x.csv:8: nothing to learn") {
		t.Errorf("err = %v; want nothing to learn", err)
	}
}

// Sources and targets each keep to their length, and end in an end of text.
func TestSourcesAndTargets(t *testing.T) {
	tok := bytewise(t, end)
	pair := func(a, b string) Example {
		return Example{Kind: TypeSeq2Seq, Prompt: a, Completion: b, From: "x.jsonl:7"}
	}
	spec := job.Spec{TaskType: job.Seq2SeqLM, SequenceLen: 5, MaxTargetLength: 3, SourcePrefix: "p:", ExcessLengthStrategy: "truncate"}
	out, report, err := tokenize(t, tok, spec, pair("a", "b"), pair("abcdef", "ghij"), apart(pair("x", "yz")))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"p:a > b<end>", "p:abc > gh<end>", "p:x > yz<end>"}
	for i, x := range out {
		if got := tok.Decode(x.Tokens) + " > " + tok.Decode(x.Labels); got != want[i] {
			t.Errorf("got %q, want %q", got, want[i])
		}
	}
	if report.Truncated != 1 || report.Tokens != 8 || report.Learnt != 5 || report.LongestTarget != 3 || report.HeldOutTokens != 3 {
		t.Errorf("report %+v", report)
	}
	spec.ExcessLengthStrategy = "error"
	if _, _, err := tokenize(t, tok, spec, pair("a", "bcd")); err == nil || !strings.Contains(err.Error(), "x.jsonl:7: 4 tokens, more than max_target_length 3") {
		t.Errorf("err = %v; want one that names max_target_length", err)
	}
	spec.ExcessLengthStrategy = "drop"
	if out, report, err := tokenize(t, tok, spec, pair("a", "bcd"), pair("abcd", "b"), pair("a", "b")); err != nil || len(out) != 1 || report.Dropped != 2 {
		t.Errorf("%d kept, %d dropped, err %v; want 1 and 2", len(out), report.Dropped, err)
	}
}
