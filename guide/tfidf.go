package guide

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strings"

	"carillon/linear"
)

// word is what counts as one: two or more letters, digits or underscores, as in
// scikit-learn's TfidfVectorizer.
var word = regexp.MustCompile(`[\pL\pN_]{2,}`)

// vocabulary is the words, and pairs of words, of training texts, with how much each of them tells:
// ln((1+n)/(1+texts with it)) + 1.
type vocabulary struct {
	at     map[string]int
	weight []float64
}

// learnWords makes a vocabulary of texts, words by alphabet.
func learnWords(texts []string) *vocabulary {
	with := map[string]int{}
	for _, text := range texts {
		for w := range counts(text) {
			with[w]++
		}
	}
	v := &vocabulary{at: map[string]int{}}
	words := make([]string, 0, len(with))
	for w := range with {
		words = append(words, w)
	}
	slices.Sort(words)
	for i, w := range words {
		v.at[w] = i
		v.weight = append(v.weight, math.Log(float64(1+len(texts))/float64(1+with[w]))+1)
	}
	return v
}

// counts returns how often each word, and each pair of neighbours, is in a text.
func counts(text string) map[string]int {
	n, last := map[string]int{}, ""
	for i, w := range word.FindAllString(strings.ToLower(text), -1) {
		n[w]++
		if i > 0 {
			n[last+" "+w]++
		}
		last = w
	}
	return n
}

// entry is one number of a sparse row.
type entry struct {
	at int
	x  float64
}

// sparse are texts as rows: 1 + ln how often each word is there, times what it
// tells, scaled to length 1.
type sparse struct {
	rows  [][]entry
	width int
}

var _ linear.Rows = sparse{}

// rows turns texts into rows. Words that are not in the vocabulary are nothing.
func (v *vocabulary) rows(texts []string) sparse {
	s := sparse{width: len(v.weight)}
	for _, text := range texts {
		var row []entry
		for w, n := range counts(text) {
			if at, ok := v.at[w]; ok {
				row = append(row, entry{at, (1 + math.Log(float64(n))) * v.weight[at]})
			}
		}
		slices.SortFunc(row, func(a, b entry) int { return cmp.Compare(a.at, b.at) }) // sums have one order
		s.rows = append(s.rows, scaled(row))
	}
	return s
}

// scaled gives a row the length 1.
func scaled(row []entry) []entry {
	square := 0.0
	for _, e := range row {
		square += e.x * e.x
	}
	for i := range row {
		row[i].x /= math.Sqrt(square)
	}
	return row
}

func (s sparse) Len() int   { return len(s.rows) }
func (s sparse) Width() int { return s.width }

func (s sparse) Dot(i int, w []float64) (sum float64) {
	for _, e := range s.rows[i] {
		sum += e.x * w[e.at]
	}
	return sum
}

func (s sparse) Add(i int, x float64, w []float64) {
	for _, e := range s.rows[i] {
		w[e.at] += x * e.x
	}
}
