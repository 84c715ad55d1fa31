package corpus

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"carillon/job"
)

// spoiltLines has a record that is broken, one that is not UTF-8, two without
// what their type wants, and five that are whole.
var spoiltLines = strings.Join([]string{
	`{"prompt":"1","completion":"a"}`, `{"prompt":"2",`, `{"prompt":"3","completion":"a"}`,
	`{"prompt":"4"}`, `{"prompt":"5","completion":"a"}`, "{\"prompt\":\"\xff\"}",
	`{"prompt":"7","completion":"a"}`, `{"prompt":"8","completion":null}`, `{"prompt":"9","completion":"a"}`,
}, "\n")

func TestBadRecordsAreCountedOrEndTheReading(t *testing.T) {
	spec := job.Spec{Datasets: []job.Dataset{{Path: file(t, "x.jsonl", spoiltLines), Type: TypePairs}}, OnBadRow: "skip"}
	examples, report, err := readAll(t.Context(), spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	var prompts []string
	for _, x := range examples {
		prompts = append(prompts, x.Prompt)
	}
	if want := []string{"1", "3", "5", "7", "9"}; !slices.Equal(prompts, want) {
		t.Errorf("prompts %q, want %q", prompts, want)
	}
	s := report.Sources[0]
	if s.BadRows != 4 || s.Examples != 5 || len(s.FirstBad) != 3 || !strings.HasPrefix(s.FirstBad[0], "x.jsonl:2: broken JSON") {
		t.Errorf("source %+v, want 4 bad rows, the first 3 of them shown", s)
	}
	for _, how := range []string{"", "error"} {
		spec.OnBadRow = how
		if _, _, err := readAll(t.Context(), spec, nil); err == nil || !strings.Contains(err.Error(), "x.jsonl:2: broken JSON") {
			t.Errorf("on_bad_row %q: err = %v; want that of line 2", how, err)
		}
	}
}

func TestWhatEndsTheReadingIsNotSkipped(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"x.csv", "text\na\n\"b\"c\nd\n", "x.csv:3: a stray quote"},
		{"x.json", `[{"text":"a"} {"text":"b"}]`, "x.json:1: broken JSON"},
		{"x.csv", "a,a\n1,2\n", "both named"},
		{"x.tsv", "a\xff\n1\n", "x.tsv:1: the names of the columns: not UTF-8"},
		{"x.jsonl", "{\"text\":\"a\"}", "x.jsonl: columns: the file is read as jsonl, which has names of its own"},
		{"x.jsonl", "[]\n{\n", `no examples in it: all of 2 records bad, such as x.jsonl:1`},
	} {
		spec := job.Spec{Datasets: []job.Dataset{{Path: file(t, tt.name, tt.text), Type: TypeText}}, OnBadRow: "skip"}
		if strings.Contains(tt.want, "columns: the file") {
			spec.Datasets[0].Columns = []string{"text"}
		}
		if _, _, err := readAll(t.Context(), spec, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %q: err = %v; want %q", tt.name, tt.text, err, tt.want)
		}
	}
}

func TestTestSetsAreHeldOutWhole(t *testing.T) {
	train, test := file(t, "train.csv", "text\na\nb\n"), file(t, "test.csv", "text\nc\n")
	spec := job.Spec{Datasets: []job.Dataset{{Path: train}}, TestDatasets: []job.Dataset{{Path: test}}}
	examples, report, err := readAll(t.Context(), spec, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range examples {
		if x.HeldOut != (x.Text == "c") {
			t.Errorf("%q: held out %v", x.Text, x.HeldOut)
		}
	}
	if len(examples) != 3 || len(report.Sources) != 2 || report.Sources[1].HeldOut != 1 || !report.Sources[0].Guessed {
		t.Errorf("%d examples, sources %+v", len(examples), report.Sources)
	}
	for _, tt := range []struct {
		test job.Dataset
		want string
	}{
		{job.Dataset{Path: "none.csv"}, "test_datasets[0] none.csv: no such file or directory"},
		{job.Dataset{Path: GoStd, HeldOut: []string{"io"}}, "test_datasets[0] go:std: held_out"},
	} {
		spec.TestDatasets = []job.Dataset{tt.test}
		if _, _, err := readAll(t.Context(), spec, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("err = %v; want %q", err, tt.want)
		}
	}
}

func TestGroupBy(t *testing.T) {
	for _, tt := range []struct {
		text, skip, want string
	}{
		{`{"text":"a","who":"x"}` + "\n" + `{"text":"b","who":7}` + "\n" + `{"text":"c","who":true}`, "", "x 7 true"},
		{`{"text":"a"}`, "", `x.jsonl:1: no field "who", by which group_by groups`},
		{`{"text":"a","who":null}`, "", `field "who", by which group_by groups, is null`},
		{`{"text":"a","who":""}`, "", `field "who", by which group_by groups, is empty: want a string or a number`},
		{`{"text":"a","who":[]}`, "", `is a list: want a string or a number`},
		{`{"text":"a"}` + "\n" + `{"text":"b","who":"x"}`, "skip", "x"},
	} {
		spec := job.Spec{Datasets: []job.Dataset{{Path: file(t, "x.jsonl", tt.text)}}, GroupBy: "who", OnBadRow: tt.skip}
		examples, _, err := readAll(t.Context(), spec, nil)
		var groups []string
		for _, x := range examples {
			groups = append(groups, x.Group)
		}
		if got := strings.Join(groups, " "); got != tt.want && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: groups %s, err = %v; want %s", tt.text, got, err, tt.want)
		}
	}
	spec := job.Spec{Datasets: []job.Dataset{{Path: GoStd}}, GroupBy: "who"}
	if _, _, err := readAll(t.Context(), spec, nil); err == nil || !strings.Contains(err.Error(), `only "package" is right`) {
		t.Errorf("err = %v; want one that says what Go is grouped by", err)
	}
}

func TestProgressOfReading(t *testing.T) {
	var lines strings.Builder
	for i := range 10000 {
		fmt.Fprintf(&lines, "{\"text\":\"%d\"}\n", i)
	}
	path := file(t, "x.jsonl", lines.String())
	var told []int
	_, _, err := Read(t.Context(), []job.Dataset{{Path: path}}, func(what string, done, total int) {
		if what != "reading "+path || total != 0 {
			t.Errorf("progress %q of %d", what, total)
		}
		told = append(told, done)
	})
	if want := []int{4096, 8192}; err != nil || !slices.Equal(told, want) {
		t.Errorf("told %v, err = %v; want %v", told, err, want)
	}
}
