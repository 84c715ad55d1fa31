package corpus

import (
	"strings"
	"testing"

	"carillon/job"
)

// What the first records tell is what all of them tell.
func TestPeekTellsWhatResolveTells(t *testing.T) {
	pairs := file(t, "pairs.jsonl", `{"prompt": "a", "completion": "b"}`+"\n"+`{"prompt": "c", "completion": "d"}`+"\n")
	classes := file(t, "classes.csv", "text,label\nfine,good\nsad,bad\nwell,good\npoor,bad\n")
	numbers := file(t, "numbers.csv", "text,score\nfine,1.5\nsad,2\n")
	answers := file(t, "answers.jsonl", `{"source": "a", "target": "b"}`+"\n")
	for _, tt := range []struct {
		paths []string
		apart bool // the base model has an encoder
		want  string
	}{
		{[]string{pairs}, false, job.CausalLM},
		{[]string{pairs}, true, job.Seq2SeqLM},
		{[]string{answers}, false, job.CausalLM},
		{[]string{answers}, true, job.Seq2SeqLM},
		{[]string{classes}, false, job.SeqCls},
		{[]string{numbers}, false, job.Regression},
		{[]string{GoStd}, false, job.CausalLM},
		{[]string{pairs, answers}, false, job.CausalLM},
	} {
		var spec job.Spec
		for _, p := range tt.paths {
			spec.Datasets = append(spec.Datasets, job.Dataset{Path: p})
		}
		got, err := Peek(t.Context(), spec, tt.apart)
		if err != nil || got != tt.want {
			t.Errorf("%q: %q (%v), want %s", tt.paths, got, err, tt.want)
		}
		if tt.paths[0] == GoStd {
			continue // takes a second to read
		}
		reading, err := Load(t.Context(), spec, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resolved, err := reading.Resolve(spec, tt.apart); err != nil || resolved.TaskType != got {
			t.Errorf("%q: all of it is for %q (%v), its beginning for %s", tt.paths, resolved.TaskType, err, got)
		}
	}
}

func TestPeekRefusesWhatItSees(t *testing.T) {
	pairs := file(t, "pairs.jsonl", `{"prompt": "a", "completion": "b"}`+"\n")
	classes := file(t, "classes.csv", "text,label\nfine,good\nsad,bad\n")
	for _, tt := range []struct {
		spec job.Spec
		want string
	}{
		{job.Spec{Datasets: []job.Dataset{{Path: pairs}, {Path: classes}}}, "for two tasks"},
		{job.Spec{Datasets: []job.Dataset{{Path: pairs}}, TestDatasets: []job.Dataset{{Path: "nowhere.csv"}}}, "test_datasets[0] nowhere.csv: "},
		{job.Spec{Datasets: []job.Dataset{{Path: file(t, "none.jsonl", "")}}}, "no examples in it"},
		{job.Spec{Datasets: []job.Dataset{{Path: pairs}}, TaskType: job.SeqCls}, "the data is for causal_lm"},
		{job.Spec{Datasets: []job.Dataset{{Path: classes}}, SamplePacking: true}, "sample_packing: true"},
	} {
		if _, err := Peek(t.Context(), tt.spec, false); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: error %v, want one with %q", tt.spec.Datasets, err, tt.want)
		}
	}
}
