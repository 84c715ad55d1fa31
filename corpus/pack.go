package corpus

import (
	"cmp"
	"slices"

	"carillon/shard"
)

// packWindow is how many examples are looked at together. More fill the packs
// hardly better, and take longer and a reader's sense of order.
const packWindow = 1024

// pack puts whole examples together into rows of at most so many tokens, those
// for training and those held out apart.
func pack(rows []madeRow, most int) []madeRow {
	var parts [2][]madeRow
	for _, row := range rows {
		if row.HeldOut {
			parts[1] = append(parts[1], row)
		} else {
			parts[0] = append(parts[0], row)
		}
	}
	var out []madeRow
	for _, part := range parts {
		for window := range slices.Chunk(part, packWindow) {
			for _, members := range bestFit(window, most) {
				out = append(out, join(window, members))
			}
		}
	}
	return out
}

// bestFit distributes the rows: the longest first, each to the fullest pack that
// has room for it. The members of a pack are in order, and so are the packs, by
// their first members.
func bestFit(rows []madeRow, most int) [][]int {
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(rows[b].Tokens), len(rows[a].Tokens)) })
	var packs [][]int
	var room []int
	for _, i := range order {
		n, best := len(rows[i].Tokens), -1
		for p := range room {
			if room[p] >= n && (best < 0 || room[p] < room[best]) {
				best = p
			}
		}
		if best < 0 {
			best = len(packs)
			packs, room = append(packs, nil), append(room, most)
		}
		packs[best], room[best] = append(packs[best], i), room[best]-n
	}
	for _, p := range packs {
		slices.Sort(p)
	}
	slices.SortFunc(packs, func(a, b []int) int { return cmp.Compare(a[0], b[0]) })
	return packs
}

// join makes one row of several. No member is asked for its first token, which
// would be guessed from another's last.
func join(rows []madeRow, members []int) madeRow {
	if len(members) == 1 {
		return rows[members[0]]
	}
	out := madeRow{Example: shard.Example{HeldOut: rows[members[0]].HeldOut}}
	for _, i := range members {
		at := len(out.Tokens)
		if at > 0 {
			out.Starts = append(out.Starts, int32(at))
		}
		labels := rows[i].Labels
		if labels == nil {
			labels = rows[i].Tokens
		}
		out.Tokens = append(out.Tokens, rows[i].Tokens...)
		out.Labels = append(out.Labels, labels...)
		out.Labels[at] = shard.Ignore
		out.from = append(out.from, rows[i].from...)
	}
	return out
}
