package allreduce

import (
	"context"
	"fmt"
	"slices"
)

// MaxWord bounds rank 0's word in Agree, in bytes.
const MaxWord = 64 << 10

// fanOutRanks is how many ranks at most send their exponents to everybody.
const fanOutRanks = 8

// Agree makes the exponents the same on every rank, in place: each the maximum
// over ranks (MaxExponents over lanes made them). It returns the sum of all
// tails, and rank 0's word, opaque bytes which no other rank has a say in; the
// returned word is the caller's. Up to 8 ranks it takes one hop, above two. So
// the verdict on a step is known before anything is quantized: an exponent of
// 255 means that a gradient is not finite, on every rank alike.
//
// A message is the tail, one byte a block, and, from rank 0, the word.
func Agree(ctx context.Context, m Mesh, exps []byte, tail Tail, word []byte) (Tail, []byte, error) {
	if m.Rank() != 0 {
		word = nil
	}
	if len(word) > MaxWord {
		return Tail{}, nil, fmt.Errorf("word of %d bytes is longer than %d", len(word), MaxWord)
	}
	a := agreement{exps, tail, word}
	if m.Size() == 1 {
		return tail, slices.Clone(word), nil
	}
	agree := a.twoShot
	if m.Size() <= fanOutRanks {
		agree = a.fanOut
	}
	err := agree(ctx, m)
	return a.tail, a.word, err
}

// AddTails sums the tails of all ranks: an evaluation's sum. One hop.
func AddTails(ctx context.Context, m Mesh, tail Tail) (Tail, error) {
	if m.Size() == 1 {
		return tail, nil
	}
	total := tail
	err := exchange(ctx, m, Hop{PhaseEval, 0}, toAll(m, tail.append(nil)), others(m), func(_ int, msg []byte) error {
		if len(msg) != tailSize {
			return fmt.Errorf("tail of %d bytes, want %d", len(msg), tailSize)
		}
		total.Add(tailOf(msg))
		return nil
	})
	return total, err
}

// agreement is what a rank knows so far.
type agreement struct {
	exps []byte
	tail Tail
	word []byte
}

// message is what a rank says about blocks [from, to).
func (a *agreement) message(from, to int) []byte {
	msg := a.tail.append(make([]byte, 0, tailSize+to-from+len(a.word)))
	return append(append(msg, a.exps[from:to]...), a.word...)
}

// take adds a rank's message about blocks [from, to).
func (a *agreement) take(rank int, msg []byte, from, to int) error {
	rest := len(msg) - tailSize - (to - from)
	if rest < 0 || rest > MaxWord || rest > 0 && rank != 0 {
		return fmt.Errorf("%d bytes, want %d for the tail and %d exponents, and only rank 0 may add a word", len(msg), tailSize+to-from, to-from)
	}
	a.tail.Add(tailOf(msg))
	msg = msg[tailSize:]
	for i, e := range msg[:to-from] {
		a.exps[from+i] = max(a.exps[from+i], e)
	}
	if rank == 0 {
		a.word = slices.Clone(msg[to-from:])
	}
	return nil
}

// fanOut tells everybody everything.
func (a *agreement) fanOut(ctx context.Context, m Mesh) error {
	out := toAll(m, a.message(0, len(a.exps)))
	return exchange(ctx, m, Hop{PhaseExponents, 0}, out, others(m), func(r int, msg []byte) error {
		return a.take(r, msg, 0, len(a.exps))
	})
}

// twoShot sends each piece of the exponents to its owner, with tail and word; the
// owner sends the maxima to everybody.
func (a *agreement) twoShot(ctx context.Context, m Mesh) error {
	piece := func(r int) (from, to int) {
		return r * len(a.exps) / m.Size(), (r + 1) * len(a.exps) / m.Size()
	}
	from, to := piece(m.Rank())
	out := make([][]byte, m.Size())
	for _, r := range others(m) {
		out[r] = a.message(piece(r))
	}
	err := exchange(ctx, m, Hop{PhaseExponents, 0}, out, others(m), func(r int, msg []byte) error {
		return a.take(r, msg, from, to)
	})
	if err != nil {
		return err
	}
	out = make([][]byte, m.Size())
	if from < to {
		out = toAll(m, slices.Clone(a.exps[from:to]))
	}
	owners := slices.DeleteFunc(others(m), func(r int) bool { from, to := piece(r); return from == to })
	return exchange(ctx, m, Hop{PhaseExponents, 1}, out, owners, func(r int, msg []byte) error {
		from, to := piece(r)
		return a.settle(msg, from, to)
	})
}

// settle takes the owner's maxima of blocks [from, to).
func (a *agreement) settle(msg []byte, from, to int) error {
	if len(msg) != to-from {
		return fmt.Errorf("%d bytes, want %d exponents", len(msg), to-from)
	}
	for i, e := range msg {
		if e < a.exps[from+i] {
			return fmt.Errorf("block %d has exponent %d, less than the own %d", from+i, e, a.exps[from+i])
		}
	}
	copy(a.exps[from:], msg)
	return nil
}
