package shard

import (
	"math/bits"

	"carillon/job"
)

// Permute returns where place i of n stands in the permutation of key: a
// bijection of [0, n), 0 <= i < n, without a table.
//
// A 4-round Feistel network on the smallest even number of bits that holds n
// permutes a power of four; places outside [0, n) are sent round again until
// they fall inside (cycle walking), fewer than four times on the average.
func Permute(key job.Key, i, n uint64) uint64 {
	half := uint((bits.Len64(n-1) + 1) / 2)
	mask := uint64(1)<<half - 1
	for {
		left, right := i>>half, i&mask
		for round := range uint64(4) {
			left, right = right, left^uint64(key.At(round<<32|right))&mask
		}
		if i = left<<half | right; i < n {
			return i
		}
	}
}

// FirstPosition returns where in a job with n training examples one of them first
// comes: Permute of the first epoch, backwards.
func FirstPosition(seed, example, n uint64) uint64 {
	key := job.NewKey(seed, job.ForExamples, 0)
	half := uint((bits.Len64(n-1) + 1) / 2)
	mask := uint64(1)<<half - 1
	for i := example; ; {
		left, right := i>>half, i&mask
		for round := range uint64(4) {
			left, right = right^uint64(key.At((3-round)<<32|left))&mask, left
		}
		if i = left<<half | right; i < n {
			return i
		}
	}
}

// Epoch returns the epoch and the training example that position p of a job
// holds: epoch = p / n, example = permutation of that epoch at p mod n.
func (s *Set) Epoch(seed, p uint64) (epoch uint64, example int) {
	n := s.layout.train
	epoch = p / n
	return epoch, int(Permute(job.NewKey(seed, job.ForExamples, epoch), p%n, n))
}

// example returns the training example of a position.
func (s *Set) example(p Plan, position uint64) int {
	if p.Balanced {
		return s.balanced(p.Seed, position)
	}
	_, example := s.Epoch(p.Seed, position)
	return example
}

// balanced draws a class, then one of its training examples, with replacement.
// Classes without any are never drawn.
func (s *Set) balanced(seed, position uint64) int {
	key := job.NewKey(seed, job.ForBalance, position)
	c := s.classes[below(len(s.classes), key.At(0), key.At(1))]
	return c.first + below(c.size, key.At(2), key.At(3))
}

// below makes a number in [0, n) of 64 random bits; each is as likely as any
// other, but for n in 2^64.
func below(n int, high, low uint32) int {
	at, _ := bits.Mul64(uint64(high)<<32|uint64(low), uint64(n))
	return int(at)
}

// evalExample returns held-out example k in the order in which held-out
// examples are evaluated. It is shuffled, so that a few of them speak for all,
// but by no seed, so that jobs can be compared.
func (s *Set) evalExample(k int) int {
	return s.Len() + int(Permute(job.NewKey(0, job.ForSplit), uint64(k), s.layout.heldOut))
}
