package tokenizer

import "container/heap"

// pair is two neighbouring tokens.
type pair struct{ left, right int32 }

// merge is what a pair becomes, and when: the lowest rank first.
type merge struct{ rank, id int32 }

// merge appends the tokens of a word, joined as far as the merges go.
//
// Neighbours that can be joined wait in a heap by (rank, place), so that a word
// of a megabyte costs n log n. A joined token takes the left one's place; an
// entry of the heap whose tokens have changed since is passed over.
func (t *Tokenizer) merge(word string, dst []int32) []int32 {
	if id, ok := t.ids[word]; ok && t.wholes {
		return append(dst, id)
	}
	w := chain{merges: t.merges, links: make([]link, len(word))}
	for i := range len(word) {
		w.links[i] = link{id: t.bytes[word[i]], left: int32(i) - 1, right: int32(i) + 1}
	}
	w.links[len(word)-1].right = -1
	for i := range len(word) {
		w.offer(int32(i))
	}
	for len(w.waiting) > 0 {
		w.join(heap.Pop(&w.waiting).(candidate))
	}
	for i := int32(0); i >= 0; i = w.links[i].right {
		dst = append(dst, w.links[i].id)
	}
	return dst
}

// chain is a word while it is merged: a list of tokens, linked both ways.
type chain struct {
	merges  map[pair]merge
	links   []link
	waiting candidates
}

type link struct{ id, left, right int32 } // left and right: -1 at the ends

// candidate is a pair that can be joined: the token at place with its right neighbour.
type candidate struct {
	place int32
	pair  pair
	merge merge
}

// offer adds the pair that starts at place, if it can be joined.
func (w *chain) offer(place int32) {
	if place < 0 || w.links[place].right < 0 {
		return
	}
	p := pair{w.links[place].id, w.links[w.links[place].right].id}
	if m, ok := w.merges[p]; ok {
		heap.Push(&w.waiting, candidate{place, p, m})
	}
}

// join joins a candidate, unless one of its tokens is no longer there.
func (w *chain) join(c candidate) {
	l := &w.links[c.place]
	if l.id != c.pair.left || l.right < 0 || w.links[l.right].id != c.pair.right {
		return
	}
	gone := &w.links[l.right]
	l.id, l.right = c.merge.id, gone.right
	gone.id = -1 // no pair has it: candidates that start here are void
	if l.right >= 0 {
		w.links[l.right].left = c.place
	}
	w.offer(l.left)
	w.offer(c.place)
}

// candidates is a heap: lowest rank first, leftmost first.
type candidates []candidate

func (c candidates) Len() int { return len(c) }
func (c candidates) Less(i, j int) bool {
	if c[i].merge.rank != c[j].merge.rank {
		return c[i].merge.rank < c[j].merge.rank
	}
	return c[i].place < c[j].place
}
func (c candidates) Swap(i, j int) { c[i], c[j] = c[j], c[i] }
func (c *candidates) Push(x any)   { *c = append(*c, x.(candidate)) }
func (c *candidates) Pop() any {
	last := len(*c) - 1
	x := (*c)[last]
	*c = (*c)[:last]
	return x
}
