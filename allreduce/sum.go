package allreduce

import (
	"context"
	"fmt"

	"carillon/job"
)

// Sum adds sum up over all ranks, in place, and requantizes it: on return every
// rank holds the same sum and the same exps, the final ones. exps are the agreed
// exponents, equal on every rank, as are alg, q and noise (job.NewKey(seed,
// job.ForRequantize, step)). With one rank it only requantizes. After an error
// sum and exps are worthless; ctx bounds every wait.
func Sum(ctx context.Context, m Mesh, alg Algorithm, q Quantizer, sum []int32, exps []byte, noise job.Key) error {
	if Blocks(len(sum)) != len(exps) {
		return lengthError("sum", len(sum), len(exps))
	}
	if m.Size() == 1 {
		q.Requantize(sum, exps, noise, 0)
		return nil
	}
	p := Cut(exps, m.Size())
	if alg == FanOut {
		if err := fanOut(ctx, m, p, sum); err != nil {
			return err
		}
		q.Requantize(sum, exps, noise, 0)
		return nil
	}
	if err := ReduceScatter(ctx, m, alg, p, sum); err != nil {
		return err
	}
	from, to := p.Range(m.Rank())
	q.Requantize(blocks(sum, from, to), exps[from:to], noise, from)
	return AllGather(ctx, m, alg, p, sum, exps)
}

// ReduceScatter leaves the finished, not yet requantized sum of the rank's own
// piece in sum; the other pieces then hold partial sums. p is Cut of the agreed
// exponents for m.Size() ranks. FanOut is TwoShot here.
func ReduceScatter(ctx context.Context, m Mesh, alg Algorithm, p Pieces, sum []int32) error {
	if err := p.check(m, sum, p.agreed); err != nil {
		return err
	}
	if alg == Ring {
		return ringReduce(ctx, m, p, sum)
	}
	return directReduce(ctx, m, p, sum)
}

// AllGather hands each rank's own piece of sum and exps to every rank, in place.
// A block of the own piece keeps at least its agreed exponent or becomes absent.
// p is what ReduceScatter was given. FanOut is TwoShot here.
func AllGather(ctx context.Context, m Mesh, alg Algorithm, p Pieces, sum []int32, exps []byte) error {
	if err := p.check(m, sum, exps); err != nil {
		return err
	}
	if alg == Ring {
		return ringGather(ctx, m, p, sum, exps)
	}
	return directGather(ctx, m, p, sum, exps)
}

func (p Pieces) check(m Mesh, sum []int32, exps []byte) error {
	if p.ranks() != m.Size() {
		return fmt.Errorf("vector is cut for %d ranks, but there are %d", p.ranks(), m.Size())
	}
	if Blocks(len(sum)) != len(p.agreed) || len(exps) != len(p.agreed) {
		return lengthError("sum", len(sum), len(exps))
	}
	return nil
}

// MessageError says that a rank's message arrived whole but makes no sense: that
// rank, or the way from it, is the suspect.
type MessageError struct {
	Hop  Hop
	Rank int // who sent it
	Err  error
}

// Error names the hop, the rank and what is wrong.
func (e *MessageError) Error() string {
	return fmt.Sprintf("%v: message of rank %d: %v", e.Hop, e.Rank, e.Err)
}

// Unwrap returns what is wrong with the message.
func (e *MessageError) Unwrap() error { return e.Err }

// exchange is one hop: it sends out and hands each message to take.
func exchange(ctx context.Context, m Mesh, hop Hop, out [][]byte, from []int, take func(rank int, msg []byte) error) error {
	in, err := m.Exchange(ctx, hop, out, from)
	if err != nil {
		return fmt.Errorf("%v: %w", hop, err)
	}
	for _, r := range from {
		if err := take(r, in[r]); err != nil {
			return &MessageError{hop, r, err}
		}
	}
	return nil
}

// others lists all ranks but the caller's own.
func others(m Mesh) []int {
	ranks := make([]int, 0, m.Size()-1)
	for r := range m.Size() {
		if r != m.Rank() {
			ranks = append(ranks, r)
		}
	}
	return ranks
}

// toAll is msg for every rank but the caller's own.
func toAll(m Mesh, msg []byte) [][]byte {
	out := make([][]byte, m.Size())
	for _, r := range others(m) {
		out[r] = msg
	}
	return out
}
