package tokenizer

import (
	"cmp"
	"container/heap"
	"fmt"
	"iter"
	"maps"
	"slices"
)

// TrainBPE makes a byte-level BPE tokenizer of vocab tokens from texts: the 256
// bytes, then the joined pairs, then the special tokens, of which the first
// ends a text. The same texts, in whatever order, give the same tokenizer.
//
// Words are counted first and each distinct word is then kept once, so that
// the cost follows the distinct words and not the text. At each turn the pair
// that occurs most often becomes a token, the smaller ids first among equals
// (Sennrich et al., 2016, https://arxiv.org/abs/1508.07909; ties as in the
// tokenizers library). It is an error if the texts have too few pairs.
func TrainBPE(texts iter.Seq[string], vocab int, special []string) (*Tokenizer, error) {
	learnt := vocab - len(special)
	if learnt < 256 || vocab > maxVocab {
		return nil, fmt.Errorf("vocabulary %d: want %d (256 bytes and %d special tokens) to %d", vocab, 256+len(special), len(special), maxVocab)
	}
	tr := newTrainer(countWords(texts))
	for len(tr.names) < learnt {
		p, ok := tr.best()
		if !ok {
			return nil, fmt.Errorf("vocabulary %d: the text has pairs for %d tokens only", vocab, len(tr.names)+len(special))
		}
		tr.join(p)
	}
	return tr.tokenizer(special)
}

// countWords counts the words of the texts, in the order of their bytes.
func countWords(texts iter.Seq[string]) ([]string, []int) {
	counts := map[string]*int{}
	for text := range texts {
		for len(text) > 0 {
			n := gpt2(text)
			if c, ok := counts[text[:n]]; ok {
				*c++
			} else {
				one := 1
				counts[string([]byte(text[:n]))] = &one // a copy: the text is not kept
			}
			text = text[n:]
		}
	}
	words := slices.Sorted(maps.Keys(counts))
	times := make([]int, len(words))
	for i, w := range words {
		times[i] = *counts[w]
	}
	return words, times
}

// trainer is the state of training: every distinct word as its tokens so far,
// and how often each pair occurs in them.
type trainer struct {
	words  [][]int32
	times  []int // how often each word occurs
	pairs  map[pair]*tally
	most   ranking
	merges []pair
	names  []string         // the tokens as files write them, by id
	ids    map[string]int32 // their ids
}

// tally is a pair's count, and the words that it has occurred in. Words that
// have lost it since are still in the list.
type tally struct {
	count  int
	ranked int // the largest count under which it stands in the ranking
	in     []int32
}

func newTrainer(words []string, times []int) *trainer {
	tr := &trainer{times: times, pairs: map[pair]*tally{}, ids: map[string]int32{}}
	var first [256]int32
	for _, c := range byteOrder {
		first[c] = tr.name(string(runeOfByte[c]))
	}
	for _, w := range words {
		ids := make([]int32, len(w))
		for i := range len(w) {
			ids[i] = first[w[i]]
		}
		tr.words = append(tr.words, ids)
		tr.count(int32(len(tr.words)-1), 1)
	}
	for p, t := range tr.pairs {
		tr.rank(p, t)
	}
	return tr
}

// name returns the id of a token, a new one if there is none of that name: two
// pairs may join to the same text.
func (tr *trainer) name(name string) int32 {
	id, ok := tr.ids[name]
	if !ok {
		id = int32(len(tr.names))
		tr.ids[name] = id
		tr.names = append(tr.names, name)
	}
	return id
}

// rank puts a pair into the ranking under its count, unless it stands there
// under this or a larger one. Invariant: a pair with a count stands in the
// ranking under its count or a larger one.
func (tr *trainer) rank(p pair, t *tally) {
	if t.count > t.ranked {
		t.ranked = t.count
		heap.Push(&tr.most, ranked{p, t.count})
	}
}

// count adds a word's pairs to the tallies (sign 1) or takes them away (-1).
func (tr *trainer) count(word int32, sign int) {
	ids := tr.words[word]
	for i := 1; i < len(ids); i++ {
		p := pair{ids[i-1], ids[i]}
		t, ok := tr.pairs[p]
		if !ok {
			t = &tally{}
			tr.pairs[p] = t
		}
		t.count += sign * tr.times[word]
		if n := len(t.in); sign > 0 && (n == 0 || t.in[n-1] != word) {
			t.in = append(t.in, word)
		}
	}
}

// best returns the most frequent pair. A pair that comes up under a count that
// it no longer has goes back under the true one.
func (tr *trainer) best() (pair, bool) {
	for len(tr.most) > 0 {
		r := heap.Pop(&tr.most).(ranked)
		t := tr.pairs[r.pair]
		if t.count == r.count {
			return r.pair, true
		}
		if r.count == t.ranked {
			t.ranked = 0
			tr.rank(r.pair, t)
		}
	}
	return pair{}, false
}

// join makes a token of p in every word that has it.
func (tr *trainer) join(p pair) {
	id := tr.name(tr.names[p.left] + tr.names[p.right])
	if !slices.Contains(tr.merges, p) { // its left token may have come about anew
		tr.merges = append(tr.merges, p)
	}
	in := slices.Compact(slices.Sorted(slices.Values(tr.pairs[p].in)))
	for _, word := range in {
		joined := replace(tr.words[word], p, id)
		if len(joined) == len(tr.words[word]) {
			continue // it lost the pair before
		}
		tr.count(word, -1)
		tr.words[word] = joined
		tr.count(word, 1)
	}
	tr.pairs[p].in = nil
	tr.enter(in, id)
}

// enter ranks the pairs that have come about with a token.
func (tr *trainer) enter(words []int32, id int32) {
	for _, word := range words {
		ids := tr.words[word]
		for i := 1; i < len(ids); i++ {
			if ids[i-1] != id && ids[i] != id {
				continue
			}
			p := pair{ids[i-1], ids[i]}
			tr.rank(p, tr.pairs[p])
		}
	}
}

// replace returns ids with id in the place of each p, from left to right; ids
// itself where there is none.
func replace(ids []int32, p pair, id int32) []int32 {
	out := ids[:0:0]
	from := 0
	for i := 0; i+1 < len(ids); i++ {
		if ids[i] == p.left && ids[i+1] == p.right {
			out = append(append(out, ids[from:i]...), id)
			i++
			from = i + 1
		}
	}
	if from == 0 {
		return ids
	}
	return append(out, ids[from:]...)
}

// ranking is a heap of pairs: largest count first, smaller ids first.
type ranking []ranked

type ranked struct {
	pair  pair
	count int
}

func (h ranking) Len() int      { return len(h) }
func (h ranking) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h ranking) Less(i, j int) bool {
	a, b := h[i], h[j]
	return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.pair.left, b.pair.left), cmp.Compare(a.pair.right, b.pair.right)) < 0
}
func (h *ranking) Push(x any) { *h = append(*h, x.(ranked)) }
func (h *ranking) Pop() any {
	last := len(*h) - 1
	x := (*h)[last]
	*h = (*h)[:last]
	return x
}
