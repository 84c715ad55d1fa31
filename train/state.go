package train

import (
	"carillon/allreduce"
	"carillon/job"
)

// State is what a job has learnt after Step steps. Two nodes with the same
// Digest at the same Step hold the same bits.
type State struct {
	Step    uint64    // steps done
	Updates uint64    // optimizer updates done: steps that had a supervised token
	W, M, V []float32 // trainables and AdamW's moments, in flat order
	Digest  [32]byte
}

// Record is what a finished step came to.
type Record struct {
	Step         uint64
	Tail         allreduce.Tail
	Norm         float64 // of the mean gradient, before clipping
	LearningRate float64
	Epoch        float64
	Digest       [32]byte
	Seconds      float64 // of the whole step
	SumSeconds   float64 // of that, waiting for and adding up the others
	BytesSent    uint64
	Roster       job.RosterNumber
	Nodes        int
	EvalTail     *allreduce.Tail // evaluation after this step, when there was one
}

// buffers are a trainer's working memory, sized once.
type buffers struct {
	exps  []byte  // one exponent a block
	sum   []int32 // this node's lanes, then everybody's, then the mean as float32
	lanes laneCache
}

func newBuffers(size int) buffers {
	return buffers{
		exps: make([]byte, allreduce.Blocks(size)),
		sum:  make([]int32, size),
	}
}

// history keeps the last finished sums, for members that missed them.
type history struct {
	keep  int
	first uint64 // step that sums[0] made
	sums  []finishedSum
	spare []byte // memory of the sum that was driven out last
}

type finishedSum struct {
	canonical []byte
	digest    [32]byte // of the state that it led to
}

// historyBytes bounds what is kept in memory for others: sixteen sums of an
// adapter, one of a large full tuning.
const historyBytes = 64 << 20

func newHistory(size int) history { return history{keep: KeptSums(size)} }

// KeptSums is how many finished sums of a vector a node keeps for others.
func KeptSums(size int) int { return max(1, min(16, historyBytes/(4*max(1, size)))) }

// add appends the sum that made step.
func (h *history) add(step uint64, s finishedSum) {
	if step != h.first+uint64(len(h.sums)) {
		h.first, h.sums = step, nil
	}
	if len(h.sums) == h.keep {
		h.spare = h.sums[0].canonical
		h.sums = append(h.sums[:0], h.sums[1:]...)
		h.first++
	}
	h.sums = append(h.sums, s)
}

// memory returns memory for the canonical form of the next sum, which add is to be
// given: hundreds of megabytes of a full tuning, not taken anew in each step.
func (h *history) memory() []byte {
	b := h.spare[:0]
	h.spare = nil
	return b
}

// get returns the sum that made step, or nil. It is the history's, and others' after
// the next add.
func (h *history) get(step uint64) ([]byte, [32]byte) {
	if step < h.first || step >= h.first+uint64(len(h.sums)) {
		return nil, [32]byte{}
	}
	s := h.sums[step-h.first]
	return s.canonical, s.digest
}
