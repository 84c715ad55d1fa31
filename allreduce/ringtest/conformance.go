package ringtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"carillon/allreduce"
	"carillon/job"
)

// Run checks that the meshes of join do what allreduce.Mesh says. join makes all
// ends of a new roster of so many ranks, and cleans up with t.
func Run(t *testing.T, join func(t *testing.T, ranks int) []allreduce.Mesh) {
	t.Run("ranks are counted from 0", func(t *testing.T) {
		for r, m := range join(t, 3) {
			if m.Rank() != r || m.Size() != 3 {
				t.Errorf("end %d is rank %d of %d, want %d of 3", r, m.Rank(), m.Size(), r)
			}
		}
	})
	t.Run("messages reach the rank they are for", func(t *testing.T) { messages(t, join(t, 3)) })
	t.Run("out is the caller's again", func(t *testing.T) { reuse(t, join(t, 2)) })
	t.Run("the context ends a wait", func(t *testing.T) { deadline(t, join(t, 2)) })
	for _, ranks := range []int{1, 2, 3, 5} {
		t.Run(fmt.Sprintf("sums of %d ranks", ranks), func(t *testing.T) { sums(t, join(t, ranks)) })
	}
}

// messages sends each length to the right only, and then to all.
func messages(t *testing.T, meshes []allreduce.Mesh) {
	text := func(from, n int) []byte { return bytes.Repeat([]byte{byte('a' + from)}, n) }
	check(t, meshes, func(ctx context.Context, m allreduce.Mesh) error {
		me, n := m.Rank(), m.Size()
		for i, size := range []int{1, 100, 60<<10 + 1, 3 << 20} {
			out := make([][]byte, n)
			out[(me+1)%n] = text(me, size)
			left := (me + n - 1) % n
			in, err := m.Exchange(ctx, allreduce.Hop{Phase: allreduce.PhaseReduce, N: uint16(i)}, out, []int{left})
			if err != nil {
				return err
			}
			for r := range n {
				if want := text(r, size); r == left && !bytes.Equal(in[r], want) {
					return fmt.Errorf("rank %d got %d bytes from the left, want %d times %q", me, len(in[r]), size, want[0])
				} else if r != left && in[r] != nil {
					return fmt.Errorf("rank %d got a message from rank %d that it did not ask for", me, r)
				}
			}
		}
		return nil
	})
}

// reuse overwrites what it sent as soon as Exchange returns, and what it got.
func reuse(t *testing.T, meshes []allreduce.Mesh) {
	check(t, meshes, func(ctx context.Context, m allreduce.Mesh) error {
		msg, other := make([]byte, 100_000), 1-m.Rank()
		for i := range 20 {
			for j := range msg {
				msg[j] = byte(i + m.Rank())
			}
			out := make([][]byte, 2)
			out[other] = msg
			in, err := m.Exchange(ctx, allreduce.Hop{Phase: allreduce.PhaseReduce, N: uint16(i)}, out, []int{other})
			if err != nil {
				return err
			}
			if got := bytes.Count(in[other], []byte{byte(i + other)}); got != len(msg) {
				return fmt.Errorf("exchange %d: %d of %d bytes are right", i, got, len(msg))
			}
			clear(in[other])
		}
		return nil
	})
}

// deadline lets rank 0 wait for a rank that says nothing.
func deadline(t *testing.T, meshes []allreduce.Mesh) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := meshes[0].Exchange(ctx, allreduce.Hop{Phase: allreduce.PhaseReduce}, make([][]byte, 2), []int{1})
	if err == nil {
		t.Error("Exchange with a silent rank returned no error")
	} else if ctx.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Exchange with a silent rank ended early: %v", err)
	}
}

// sums runs whole steps one after another, by each algorithm, and compares the
// bits with those of one rank.
func sums(t *testing.T, meshes []allreduce.Mesh) {
	const lanes = 8
	q, err := allreduce.NewQuantizer(allreduce.Q8, lanes)
	if err != nil {
		t.Fatal(err)
	}
	g := Gradients(lanes, 10*allreduce.Block+7)
	want, _, err := Step(t.Context(), New(1).Mesh(0), allreduce.TwoShot, q, g, 0)
	if err != nil {
		t.Fatal(err)
	}
	check(t, meshes, func(ctx context.Context, m allreduce.Mesh) error {
		for _, alg := range []allreduce.Algorithm{allreduce.Ring, allreduce.TwoShot, allreduce.FanOut} {
			got, word, err := Step(ctx, m, alg, q, g, 0)
			if err != nil {
				return fmt.Errorf("rank %d, %v: %w", m.Rank(), alg, err)
			}
			if !bytes.Equal(got, want) || string(word) != Word {
				return fmt.Errorf("rank %d, %v: sum or word %q is not that of one rank", m.Rank(), alg, word)
			}
		}
		return nil
	})
}

// check fails the test with each rank's error.
func check(t *testing.T, meshes []allreduce.Mesh, do func(ctx context.Context, m allreduce.Mesh) error) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for r, err := range Each(meshes, func(m allreduce.Mesh) error { return do(ctx, m) }) {
		if err != nil {
			t.Errorf("rank %d: %v", r, err)
		}
	}
}

// Word is what rank 0 says in Step.
const Word = "after this step, roster 1.2"

// Gradients makes each lane's gradient of n values: a few blocks are zero in all
// lanes, the rest of many sizes.
func Gradients(lanes, n int) [][]float32 {
	g := make([][]float32, lanes)
	for l := range g {
		key := job.NewKey(1, job.ForProbe, uint64(l))
		g[l] = make([]float32, n)
		for i := range g[l] {
			if b := i / allreduce.Block; b%4 != 3 {
				g[l][i] = (key.Uniform(uint64(i)) - 0.5) / float32(int(1)<<(b%20))
			}
		}
	}
	return g
}

// Step does what a training step does between gradients and update: it carries an
// adjacent share of the lanes, agrees, quantizes and sums, and returns the
// canonical sum and rank 0's word.
func Step(ctx context.Context, m allreduce.Mesh, alg allreduce.Algorithm, q allreduce.Quantizer, lanes [][]float32, step uint64) (canonical, word []byte, err error) {
	first, next := m.Rank()*len(lanes)/m.Size(), (m.Rank()+1)*len(lanes)/m.Size()
	sum := make([]int32, len(lanes[0]))
	exps := make([]byte, allreduce.Blocks(len(sum)))
	var tail allreduce.Tail
	for _, g := range lanes[first:next] {
		allreduce.MaxExponents(exps, g)
		tail[allreduce.Tokens] += 10
		tail.AddLoss(g[0])
	}
	tail, word, err = allreduce.Agree(ctx, m, exps, tail, []byte(Word))
	if err != nil {
		return nil, nil, err
	}
	const seed = 42
	var carried []allreduce.Lane
	for l := first; l < next; l++ {
		carried = append(carried, allreduce.Lane{Gradient: lanes[l], Noise: job.NewKey(seed, job.ForRounding, step, uint64(l))})
	}
	q.SumLanes(sum, exps, carried...)
	err = allreduce.Sum(ctx, m, alg, q, sum, exps, job.NewKey(seed, job.ForRequantize, step))
	return allreduce.Canonical(nil, exps, sum, tail), slices.Clone(word), err
}
