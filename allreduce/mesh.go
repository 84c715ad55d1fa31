package allreduce

import (
	"context"
	"fmt"
)

// Phase is a part of one step's communication. The numbers are on the wire:
// never renumber.
type Phase uint8

// The phases of a step, in the order in which they happen.
const (
	PhaseExponents Phase = 1 // Agree: block exponents, tails and rank 0's word
	PhaseReduce    Phase = 2 // partial sums on their way to a piece's owner
	PhaseGather    Phase = 3 // finished pieces on their way to everybody
	PhaseEval      Phase = 4 // AddTails: the tails of an evaluation
)

// String names the phase as logs and errors do.
func (p Phase) String() string {
	switch p {
	case PhaseExponents:
		return "exponents"
	case PhaseReduce:
		return "reduce-scatter"
	case PhaseGather:
		return "all-gather"
	case PhaseEval:
		return "eval"
	}
	return fmt.Sprintf("phase %d", uint8(p))
}

// Hop is the address of one exchange within a step.
type Hop struct {
	Phase Phase
	N     uint16 // counts from 0 within the phase
}

// String names the hop as logs and errors do.
func (h Hop) String() string { return fmt.Sprintf("%v hop %d", h.Phase, h.N) }

// Mesh is a node's links to all ranks of one roster, for one sum after another.
// Every rank calls the same functions of this package in the same order, from
// one goroutine. Package wire implements it on NATS, ringtest in memory.
type Mesh interface {
	// Rank is this node's place in the roster, from 0.
	Rank() int
	// Size is the number of ranks, at least 1.
	Size() int
	// Exchange sends out[r] to each rank r with out[r] != nil and returns one
	// message from each rank in from; the other entries of in are nil. len(out)
	// and len(in) are Size; no message is empty. All of it happens at once, so a group in which every
	// rank calls Exchange cannot deadlock. out is the caller's again on return,
	// and in belongs to the caller. It returns ctx's error when ctx ends first,
	// and an error that names the rank when a link breaks.
	Exchange(ctx context.Context, hop Hop, out [][]byte, from []int) (in [][]byte, err error)
}

// Algorithm is a way to add a vector up. None changes the sum's bits.
type Algorithm uint8

// The algorithms. The numbers may ride on rank 0's word: never renumber.
const (
	Auto    Algorithm = 0 // TwoShot
	Ring    Algorithm = 1 // 2(N-1) hops to neighbours; least traffic at any moment
	TwoShot Algorithm = 2 // straight to the owner and back: two hops
	FanOut  Algorithm = 3 // everything to everybody: one hop
)

var algorithmNames = [...]string{Auto: "auto", Ring: "ring", TwoShot: "twoshot", FanOut: "fanout"}

// String is the algorithm's name in a recipe.
func (a Algorithm) String() string {
	if int(a) < len(algorithmNames) {
		return algorithmNames[a]
	}
	return fmt.Sprintf("algorithm %d", uint8(a))
}

// ParseAlgorithm is the inverse of String.
func ParseAlgorithm(name string) (Algorithm, error) {
	for a, known := range algorithmNames {
		if name == known {
			return Algorithm(a), nil
		}
	}
	return 0, fmt.Errorf("algorithm %q is not one of auto, ring, twoshot, fanout", name)
}
