package guide

import (
	"encoding/csv"
	"os"
	"testing"

	"carillon/corpus"
)

func TestMajorityIsCountedWhereItIsTrained(t *testing.T) {
	examples := []corpus.Labelled{{Class: 1}, {Class: 1}, {Class: 0}, {Class: 0, HeldOut: true}, {Class: 0, HeldOut: true}, {Class: 1, HeldOut: true}, {Class: 0, HeldOut: true}}
	if got := Majority(examples).Quality; got != 0.25 {
		t.Errorf("%v, want 0.25: class 1 is the commonest in training, and right once in four", got)
	}
}

// scikit-learn reaches 73.7 per cent with the first 2,000 rows of SST-2 and C 100
// (its own folds, which differ).
func TestABagOfWordsOnSST2(t *testing.T) {
	train, err := readSST2("../../shared/data/sst2/train.tsv", 2000)
	if err != nil {
		t.Skipf("no third-party data here: %v", err)
	}
	dev, err := readSST2("../../shared/data/sst2/dev.tsv", 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	for i := range dev {
		dev[i].HeldOut = true
	}
	row, err := BagOfWords(append(train, dev...), 2, 42)
	if err != nil || row.Quality < 0.727 {
		t.Errorf("accuracy %.4f (%v), want about 0.737", row.Quality, err)
	}
	t.Logf("accuracy %.4f, %d weights, %.1f s", row.Quality, row.Trainable, row.Seconds)
}

func readSST2(path string, most int) (out []corpus.Labelled, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma, r.LazyQuotes = '\t', true
	rows, err := r.ReadAll()
	if err != nil {
		return nil, err
	}
	for _, row := range rows[1:min(len(rows), most+1)] {
		out = append(out, corpus.Labelled{Text: row[0], Class: int(row[1][0] - '0')})
	}
	return out, nil
}
