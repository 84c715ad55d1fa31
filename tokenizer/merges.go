package tokenizer

import "math/bits"

// pair is two neighbouring tokens.
type pair struct{ left, right int32 }

// merge is what a pair becomes, and when: the lowest rank first.
type merge struct{ rank, id int32 }

// mergeTable holds the merges by their pairs. Looking them up is most of the
// work of merging, and most pairs are no merge: so it is a table of slots, at
// most half of them used, where a look at one line of memory mostly settles it.
type mergeTable struct {
	slots []mergeSlot // a power of two
	shift int         // of a hash of 64 bits, to the number of a slot
}

// mergeSlot is free while the left token is none.
type mergeSlot struct {
	pair  pair
	merge merge
}

// newMergeTable makes a table for n merges.
func newMergeTable(n int) *mergeTable {
	log := bits.Len(uint(2 * n))
	t := &mergeTable{make([]mergeSlot, 1<<log), 64 - log}
	for i := range t.slots {
		t.slots[i].pair.left = none
	}
	return t
}

// slot returns the pair's slot, or the free one where it would be.
func (t *mergeTable) slot(p pair) *mergeSlot {
	hash := (uint64(uint32(p.left))<<32 | uint64(uint32(p.right))) * 0x9E3779B97F4A7C15 // 2⁶⁴ over the golden ratio
	for i := int(hash >> t.shift); ; i++ {
		if s := &t.slots[i&(len(t.slots)-1)]; s.pair == p || s.pair.left < 0 {
			return s
		}
	}
}

// put adds a merge; of two for one pair the last counts.
func (t *mergeTable) put(p pair, m merge) { *t.slot(p) = mergeSlot{p, m} }

// get returns what a pair becomes.
func (t *mergeTable) get(p pair) (merge, bool) {
	s := t.slot(p)
	return s.merge, s.pair.left >= 0
}
