package tokenizer

import (
	"maps"
	"slices"
	"strings"
)

// trie finds the tokens that a text starts with, a byte at a time and without
// allocating. Its nodes stand in breadth-first order, so that a node's children
// are neighbours, sorted by their bytes: one number finds them all.
type trie struct {
	first []int32 // where a node's children start; they end where the next node's start
	label []byte  // the byte that leads to a node from its parent
	id    []int32 // the token that ends at a node, or none
	roots [256]int32
}

// none is an id that no token has, and a node that is not there.
const none = -1

// newTrie holds the tokens of a vocabulary. The empty token is never found.
func newTrie(ids map[string]int) *trie {
	names := slices.Sorted(maps.Keys(ids))
	t := &trie{label: []byte{0}, id: []int32{none}}
	under := []span{{0, len(names), 0}} // the names below each node
	for n := 0; n < len(under); n++ {
		t.first = append(t.first, int32(len(t.label)))
		s := under[n]
		if s.from < s.to && len(names[s.from]) == s.depth {
			t.id[n] = int32(ids[names[s.from]])
			s.from++
		}
		for s.from < s.to {
			child := s.child(names)
			t.label = append(t.label, names[s.from][s.depth])
			t.id = append(t.id, none)
			under = append(under, child)
			s.from = child.to
		}
	}
	t.first = append(t.first, int32(len(t.label)))
	for c := range t.roots {
		t.roots[c] = t.search(0, byte(c))
	}
	return t
}

// span is a range of sorted names that agree in their first depth bytes.
type span struct{ from, to, depth int }

// child returns the names that agree with the first of s in one byte more.
func (s span) child(names []string) span {
	prefix := names[s.from][:s.depth+1]
	n, _ := slices.BinarySearchFunc(names[s.from:s.to], prefix, func(name, prefix string) int {
		if strings.HasPrefix(name, prefix) {
			return -1
		}
		return strings.Compare(name, prefix)
	})
	return span{s.from, s.from + n, s.depth + 1}
}

// step returns the node that c leads to from node n, or none. The root is 0.
func (t *trie) step(n int32, c byte) int32 {
	if n == 0 {
		return t.roots[c]
	}
	return t.search(n, c)
}

func (t *trie) search(n int32, c byte) int32 {
	from, to := t.first[n], t.first[n+1]
	for to-from > 8 {
		if mid := (from + to) / 2; t.label[mid] <= c {
			from = mid
		} else {
			to = mid
		}
	}
	for ; from < to; from++ {
		if t.label[from] == c {
			return from
		}
	}
	return none
}

// longest returns the longest token that text starts with, and its length.
func (t *trie) longest(text string) (id int32, size int) {
	id = none
	n := int32(0)
	for i := range len(text) {
		if n = t.step(n, text[i]); n < 0 {
			break
		}
		if t.id[n] >= 0 {
			id, size = t.id[n], i+1
		}
	}
	return id, size
}
