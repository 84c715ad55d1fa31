package guide

import (
	"time"

	"carillon/corpus"
	"carillon/linear"
)

// Majority is the row of always naming the commonest class of the training
// examples.
func Majority(examples []corpus.Labelled) Row {
	counts := map[int]int{}
	common, right, all := 0, 0, 0
	for _, x := range examples {
		if !x.HeldOut {
			counts[x.Class]++
			if counts[x.Class] > counts[common] || counts[x.Class] == counts[common] && x.Class < common {
				common = x.Class
			}
		}
	}
	for _, x := range examples {
		if x.HeldOut {
			all++
			if x.Class == common {
				right++
			}
		}
	}
	return Row{Technique: "majority class", Anchor: true, Quality: float64(right) / float64(all), Use: "what guessing gives"}
}

// BagOfWords is the row of a logistic regression on the words of the texts (TF-IDF),
// its strength chosen by cross-validation: no language model at all.
func BagOfWords(examples []corpus.Labelled, classes int, seed uint64) (Row, error) {
	began := time.Now()
	row := Row{Technique: "bag of words", Anchor: true, Use: "without a language model"}
	var texts, held []string
	var labels, want []int
	for _, x := range examples {
		if x.HeldOut {
			held, want = append(held, x.Text), append(want, x.Class)
		} else {
			texts, labels = append(texts, x.Text), append(labels, x.Class)
		}
	}
	v := learnWords(texts)
	m, _, _, err := linear.Choose(v.rows(texts), labels, classes, seed)
	if err != nil {
		return row, err
	}
	row.Quality = m.Accuracy(v.rows(held), want)
	row.Trainable, row.Seconds = len(m.W)*(len(v.weight)+1), time.Since(began).Seconds()
	row.FileBytes = int64(8 * row.Trainable)
	return row, nil
}
