package guide

import (
	"math"
	"strings"
	"testing"

	"carillon/linear"
)

func TestAdvise(t *testing.T) {
	anchor := Row{Technique: "base", Anchor: true, Quality: 0.55}
	full := Row{Technique: "full", Quality: 0.863, Runs: []float64{0.86, 0.866}, Seconds: 240, FileBytes: 9e7}
	lora := Row{Technique: "lora", Quality: 0.850, Runs: []float64{0.843, 0.857}, Seconds: 150, FileBytes: 3e5}
	adapter := Row{Technique: "adapter", Quality: 0.851, Runs: []float64{0.846, 0.856}, Seconds: 145, FileBytes: 4e5}
	feature := Row{Technique: "feature", Quality: 0.824, Runs: []float64{0.824, 0.824}, Seconds: 3, FileBytes: 2e3}
	with := func(r Row, f func(*Row)) Row { f(&r); return r }
	for _, tt := range []struct {
		name string
		rows []Row
		loss bool // lower is better
		want string
		says string
	}{
		{"the best, if it is far ahead", []Row{anchor, full, lora, feature}, false, "full", "nothing else comes near"},
		{"the quickest of equals", []Row{anchor, with(full, func(r *Row) { r.Quality, r.Runs = 0.853, []float64{0.848, 0.858} }), lora, feature}, false, "lora", "cannot be told from the best one's (full"},
		{"the smaller file of equals in time", []Row{anchor, adapter, lora}, false, "lora", "saves 300.0 kB"},
		{"the anchor, if nothing beats it", []Row{with(anchor, func(r *Row) { r.Quality = 0.9 }), full, lora}, false, "base", "no technique is better"},
		{"what failed is passed over", []Row{anchor, with(full, func(r *Row) { r.Failed = "out of memory" }), feature}, false, "feature", "best here"},
		{"nothing ran", []Row{anchor, with(full, func(r *Row) { r.Failed = "x" })}, false, "", "No technique"},
		{"no number", []Row{anchor, with(full, func(r *Row) { r.Quality = math.NaN() }), feature}, false, "feature", ""},
		{"a lower loss is better", []Row{{Technique: "base", Anchor: true, Quality: 4.5}, {Technique: "full", Quality: 3.6, Seconds: 90}, {Technique: "lora", Quality: 3.8, Seconds: 50}}, true, "full", "held-out"},
		{"losses within half a percent are one", []Row{{Technique: "full", Quality: 3.800, Seconds: 90}, {Technique: "lora", Quality: 3.805, Seconds: 50}}, true, "lora", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			table := Table{Metric: "accuracy", Higher: true, Rows: tt.rows}
			if tt.loss {
				table.Metric, table.Higher = "held-out loss", false
			}
			got := table.Advise()
			if got.Technique != tt.want || !strings.Contains(got.Reason, tt.says) {
				t.Errorf("got %+v, want %s and %q", got, tt.want, tt.says)
			}
			if n := strings.Count(got.Reason, ". ") + 1; got.Technique != "" && n != 2 {
				t.Errorf("%d sentences: %s", n, got.Reason)
			}
		})
	}
}

// The formula of scikit-learn's TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
// by hand: of what is in one of two texts ln(3/2)+1, in both 1; twice counts 1+ln 2.
func TestWordsAreWeighedByHowMuchTheyTell(t *testing.T) {
	texts := []string{"The cat sat. The!", "the dog sat a"}
	v := learnWords(texts) // cat, cat sat, dog, dog sat, sat, sat the, the, the cat, the dog
	if len(v.at) != 9 || v.at["cat"] != 0 || v.at["the dog"] != 8 {
		t.Fatalf("words %v, want nine from cat to the dog", v.at)
	}
	rare, twice := math.Log(1.5)+1, math.Log(2)+1
	length := math.Sqrt(4*rare*rare + 1 + twice*twice) // cat, cat sat, sat the, the cat; sat; the
	got := v.rows(texts[:1]).rows[0]
	want := []entry{{0, rare / length}, {1, rare / length}, {4, 1 / length}, {5, rare / length}, {6, twice / length}, {7, rare / length}}
	if len(got) != len(want) {
		t.Fatalf("%v, want %v", got, want)
	}
	for i := range want {
		if got[i].at != want[i].at || math.Abs(got[i].x-want[i].x) > 1e-12 {
			t.Errorf("number %d is %v, want %v", i, got[i], want[i])
		}
	}
}

func TestABagOfWordsTellsClassesApart(t *testing.T) {
	texts := []string{"a fine film", "fine and good", "good fine work", "good film", "a poor film", "poor and bad", "bad poor work", "bad film"}
	labels := []int{1, 1, 1, 1, 0, 0, 0, 0}
	v := learnWords(texts)
	m, err := linear.Fit(v.rows(texts), labels, 2, 10)
	if err != nil {
		t.Fatal(err)
	}
	test := v.rows([]string{"fine work", "a poor thing"})
	if m.Predict(test, 0) != 1 || m.Predict(test, 1) != 0 {
		t.Error("fine is not told from poor")
	}
}

func TestTheTableSaysAll(t *testing.T) {
	forgets := 0.03
	table := Table{Metric: "accuracy", Higher: true, Warnings: []string{"few examples"}, Advice: Advice{"lora", "Take lora: because. It is so."}, Rows: []Row{
		{Technique: "base", Anchor: true, Quality: 0.5},
		{Technique: "lora", Trainable: 1024, Share: 0.01, Quality: 0.85, Runs: []float64{0.84, 0.86}, Gap: 0.1, Seconds: 12.34, TokensPerSecond: 5000,
			PeakBytes: 3e8, BytesPerStep: 1500, FileBytes: 4096, Forgetting: &forgets, Use: "multi-task"},
		{Technique: "full", Failed: "needs 40 GB"},
	}}
	var b strings.Builder
	table.Write(&b)
	for _, want := range []string{"1024", "1.000", "0.8500", "0.0100", "+0.100", "12.3s", "5000", "300.0 MB", "1.5 kB", "4.1 kB", "+0.030", "multi-task", "needs 40 GB", "warning: few examples", "Take lora"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}
