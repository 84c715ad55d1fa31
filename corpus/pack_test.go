package corpus

import (
	"math/rand/v2"
	"reflect"
	"strconv"
	"testing"

	"carillon/shard"
)

// ragged returns n rows of 1 to most tokens, each token its row's number.
func ragged(n, most int) []madeRow {
	r := rand.New(rand.NewPCG(1, 2))
	rows := make([]madeRow, n)
	for i := range rows {
		x := shard.Example{HeldOut: i%10 == 0, Tokens: make([]int32, 1+r.IntN(most))}
		for k := range x.Tokens {
			x.Tokens[k] = int32(i)
		}
		rows[i] = madeRow{x, []string{strconv.Itoa(i)}}
	}
	return rows
}

func TestPacksHoldWholeExamples(t *testing.T) {
	const most = 64
	rows := ragged(5000, most)
	packs := pack(rows, most)
	seen := map[int32]int{}
	used := 0
	for _, p := range packs {
		if len(p.Tokens) > most || len(p.from) != len(p.Starts)+1 {
			t.Fatalf("pack of %d tokens, %d starts, from %q", len(p.Tokens), len(p.Starts), p.from)
		}
		used += len(p.Tokens)
		for i, start := range append([]int32{0}, p.Starts...) {
			row := p.Tokens[start]
			seen[row]++
			if want := rows[row]; p.from[i] != want.from[0] || p.HeldOut != want.HeldOut {
				t.Errorf("row %d stands for %s, held out %v", row, p.from[i], p.HeldOut)
			}
			if len(p.Starts) > 0 && p.Labels[start] != shard.Ignore {
				t.Errorf("the first token of row %d is asked for", row)
			}
		}
	}
	for i, row := range rows {
		if seen[int32(i)] != 1 {
			t.Errorf("row %d is in %d packs", i, seen[int32(i)])
		}
		used -= len(row.Tokens)
	}
	if used != 0 {
		t.Errorf("%d tokens too many", used)
	}
	if !reflect.DeepEqual(packs, pack(rows, most)) {
		t.Error("packing twice gives other packs")
	}
}

// Best fit decreasing leaves little room, and the order of first members stays.
func TestPacksAreFullAndInOrder(t *testing.T) {
	const most = 64
	rows := ragged(4000, most)
	tokens, slots := 0, 0
	last := [2]int{-1, -1}
	for _, p := range pack(rows, most) {
		tokens, slots = tokens+len(p.Tokens), slots+most
		part, first := 0, int(p.Tokens[0])
		if p.HeldOut {
			part = 1
		}
		if first/packWindow == last[part]/packWindow && first < last[part] && part == 0 {
			t.Errorf("row %d comes after row %d", first, last[part])
		}
		last[part] = first
	}
	if fill := float64(tokens) / float64(slots); fill < 0.97 {
		t.Errorf("the packs are filled to %.3f, want 0.97 or more", fill)
	}
}
