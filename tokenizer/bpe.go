package tokenizer

import (
	"fmt"
	"sync"
)

// byteBPE is byte-level BPE: a word's bytes are tokens to start with, and the
// pair of neighbours that stands first in the list of merges is joined until
// none is left.
type byteBPE struct {
	ids    map[string]int32 // by the bytes that the token stands for
	bytes  [256]int32       // the id of each single byte
	merges *mergeTable
	wholes bool // a word that is a token is not merged (ignore_merges)
}

// newByteBPE reads the vocabulary and the merges. Tokens that are no bytes in
// GPT-2's alphabet are left out: no text leads to them but as added tokens.
// Every byte has a token, so that unk_token and byte_fallback have no use here.
func newByteBPE(f *fileModel) (*byteBPE, error) {
	switch {
	case orEmpty(f.ContinuingSubwordPrefix) != "":
		return nil, fmt.Errorf(`model option "continuing_subword_prefix" %q is not supported with ByteLevel`, *f.ContinuingSubwordPrefix)
	case orEmpty(f.EndOfWordSuffix) != "":
		return nil, fmt.Errorf(`model option "end_of_word_suffix" %q is not supported with ByteLevel`, *f.EndOfWordSuffix)
	}
	m := &byteBPE{ids: make(map[string]int32, len(f.Vocab.ids)), merges: newMergeTable(len(f.Merges)), wholes: f.IgnoreMerges}
	for name, id := range f.Vocab.ids {
		if text, err := fromAlphabet(name); err == nil {
			m.ids[text] = int32(id)
		}
	}
	for c := range 256 {
		id, ok := m.ids[string([]byte{byte(c)})]
		if !ok {
			return nil, fmt.Errorf("model.vocab: no token for byte 0x%02x (%q): want all 256, so that every text has ids", c, runeOfByte[c])
		}
		m.bytes[c] = id
	}
	return m, m.setMerges(f)
}

func (m *byteBPE) setMerges(f *fileModel) error {
	for rank, names := range f.Merges {
		ids, err := f.merge(rank, names)
		if err != nil {
			return err
		}
		m.merges.put(pair{ids[0], ids[1]}, merge{int32(rank), ids[2]})
	}
	return nil
}

// merge returns the ids of a merge's two tokens and of what they become.
func (f *fileModel) merge(rank int, names fileMerge) (ids [3]int32, err error) {
	for i, name := range []string{names[0], names[1], names[0] + names[1]} {
		id, ok := f.Vocab.ids[name]
		if !ok {
			return ids, fmt.Errorf("model.merges: merge %d needs token %q, which model.vocab has not", rank, name)
		}
		ids[i] = int32(id)
	}
	return ids, nil
}

// encode appends the tokens of a word, joined as far as the merges go.
func (m *byteBPE) encode(word string, dst []int32) []int32 {
	if id, ok := m.ids[word]; ok && m.wholes {
		return append(dst, id)
	}
	w := newChain(m.merges)
	for i := range len(word) {
		w.add(m.bytes[word[i]])
	}
	return w.joined(dst)
}

// chain is a word while it is merged: a list of tokens, linked both ways.
//
// Neighbours that can be joined wait in a heap by (rank, place), so that a word
// of a megabyte costs n log n. A joined token takes the left one's place; an
// entry of the heap whose tokens have changed since is passed over.
type chain struct {
	merges  *mergeTable
	links   []link
	waiting candidates
}

// chains keeps the memory of chains that are done.
var chains = sync.Pool{New: func() any { return new(chain) }}

func newChain(merges *mergeTable) *chain {
	w := chains.Get().(*chain)
	*w = chain{merges, w.links[:0], w.waiting[:0]}
	return w
}

// add puts a token at the end.
func (w *chain) add(id int32) {
	n := int32(len(w.links))
	w.links = append(w.links, link{id: id, left: n - 1, right: n + 1})
}

// joined appends the tokens, joined as far as the merges go. The chain is not
// used after that.
func (w *chain) joined(dst []int32) []int32 {
	if len(w.links) == 0 {
		return dst
	}
	w.links[len(w.links)-1].right = -1
	for i := range w.links {
		w.offer(int32(i))
	}
	for len(w.waiting) > 0 {
		w.join(w.waiting.pop())
	}
	for i := int32(0); i >= 0; i = w.links[i].right {
		dst = append(dst, w.links[i].id)
	}
	if len(w.links) <= maxKept {
		chains.Put(w)
	}
	return dst
}

// maxKept bounds the memory that is kept from one word to the next, by the
// word's length.
const maxKept = 1 << 16

type link struct{ id, left, right int32 } // left and right: -1 at the ends

// candidate is a pair that can be joined: the token at place with its right
// neighbour, into id.
type candidate struct {
	turn int64 // rank and place, in this order: the lowest is joined first
	pair pair
	id   int32
}

func (c candidate) place() int32 { return int32(c.turn) }

// offer adds the pair that starts at place, if it can be joined.
func (w *chain) offer(place int32) {
	if place < 0 || w.links[place].right < 0 {
		return
	}
	p := pair{w.links[place].id, w.links[w.links[place].right].id}
	if m, ok := w.merges.get(p); ok {
		w.waiting.push(candidate{int64(m.rank)<<32 | int64(place), p, m.id})
	}
}

// join joins a candidate, unless one of its tokens is no longer there.
func (w *chain) join(c candidate) {
	place := c.place()
	l := &w.links[place]
	if l.id != c.pair.left || l.right < 0 || w.links[l.right].id != c.pair.right {
		return
	}
	gone := &w.links[l.right]
	l.id, l.right = c.id, gone.right
	gone.id = -1 // no pair has it: candidates that start here are void
	if l.right >= 0 {
		w.links[l.right].left = place
	}
	w.offer(l.left)
	w.offer(place)
}

// candidates is a heap. The standard library's would allocate for each.
type candidates []candidate

func (h *candidates) push(c candidate) {
	list := append(*h, c)
	i := len(list) - 1
	for i > 0 && c.turn < list[(i-1)/2].turn {
		list[i] = list[(i-1)/2]
		i = (i - 1) / 2
	}
	list[i], *h = c, list
}

func (h *candidates) pop() candidate {
	list := *h
	first, last := list[0], list[len(list)-1]
	list = list[:len(list)-1]
	for i := 0; len(list) > 0; {
		child := 2*i + 1
		if child+1 < len(list) && list[child+1].turn < list[child].turn {
			child++
		}
		if child >= len(list) || last.turn <= list[child].turn {
			list[i] = last
			break
		}
		list[i], i = list[child], child
	}
	*h = list
	return first
}
