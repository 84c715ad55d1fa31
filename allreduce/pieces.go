package allreduce

import "slices"

// Pieces is how a vector is cut among ranks: each owns a run of whole blocks,
// and all runs hold the same number of present blocks, give or take one. Cut
// makes it from the agreed exponents, so every rank has the same without asking.
type Pieces struct {
	agreed []byte // the exponents before anything is requantized
	bounds []int  // piece r is blocks [bounds[r], bounds[r+1])
	held   []int  // present blocks of piece r; 0: the piece is never sent
}

// Cut divides the vector whose agreed exponents are exps among ranks. It keeps a
// copy of exps.
func Cut(exps []byte, ranks int) Pieces {
	present := make([]int, 0, len(exps)) // the present blocks
	for b, e := range exps {
		if e != absent {
			present = append(present, b)
		}
	}
	p := Pieces{slices.Clone(exps), make([]int, ranks+1), make([]int, ranks)}
	p.bounds[ranks] = len(exps)
	for r := range ranks {
		first, next := r*len(present)/ranks, (r+1)*len(present)/ranks
		p.held[r] = next - first
		if r > 0 && first < len(present) {
			p.bounds[r] = present[first]
		} else if r > 0 {
			p.bounds[r] = len(exps)
		}
	}
	return p
}

// Range is the run of blocks [from, to) that the rank owns.
func (p Pieces) Range(rank int) (from, to int) { return p.bounds[rank], p.bounds[rank+1] }

// Values is the rank's part of a vector of all blocks.
func (p Pieces) Values(sum []int32, rank int) []int32 {
	from, to := p.Range(rank)
	return blocks(sum, from, to)
}

// ranks is the number of pieces.
func (p Pieces) ranks() int { return len(p.held) }

// blocks is the part of v that blocks [from, to) hold.
func blocks[T any](v []T, from, to int) []T {
	return v[min(from*Block, len(v)):min(to*Block, len(v))]
}
