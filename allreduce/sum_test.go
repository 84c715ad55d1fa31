package allreduce_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"carillon/allreduce"
	"carillon/allreduce/ringtest"
	"carillon/job"
)

var (
	codecs     = []allreduce.Codec{allreduce.Q8, allreduce.Q16, allreduce.Q32}
	algorithms = []allreduce.Algorithm{allreduce.Auto, allreduce.Ring, allreduce.TwoShot, allreduce.FanOut}
)

func TestMeshInMemory(t *testing.T) {
	ringtest.Run(t, func(_ *testing.T, ranks int) []allreduce.Mesh { return ringtest.New(ranks).Meshes() })
}

// These hashes are the job's bits, as in TestQuantizingGivesTheGoldenIntegers.
func TestSumHasTheGoldenBits(t *testing.T) {
	g := ringtest.Gradients(8, 5000)
	for _, codec := range codecs {
		canonical, _, err := ringtest.Step(t.Context(), ringtest.New(1).Mesh(0), allreduce.TwoShot, quantizer(t, codec, 8), g, 3)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%x", sha256.Sum256(canonical)); got != goldenSums[string(codec)] {
			t.Errorf("%s: canonical sum is %s, want %s", codec, got, goldenSums[string(codec)])
		}
	}
}

func TestSumIsTheSameOnEveryNode(t *testing.T) {
	const lanes = 9
	for _, n := range []int{1, 255, 256, 257, 3000} { // fewer blocks than ranks, and more
		g := ringtest.Gradients(lanes, n)
		for _, codec := range codecs {
			q := quantizer(t, codec, lanes)
			want, _, err := ringtest.Step(t.Context(), ringtest.New(1).Mesh(0), allreduce.Auto, q, g, 3)
			if err != nil {
				t.Fatal(err)
			}
			for ranks := 1; ranks <= lanes; ranks++ {
				for _, alg := range algorithms {
					for r, err := range ringtest.Each(ringtest.New(ranks).Meshes(), func(m allreduce.Mesh) error {
						got, word, err := ringtest.Step(t.Context(), m, alg, q, g, 3)
						if err == nil && (!bytes.Equal(got, want) || string(word) != ringtest.Word) {
							err = errors.New("other bits than on one node, or another word")
						}
						return err
					}) {
						if err != nil {
							t.Errorf("%d values, %s, %v, rank %d of %d: %v", n, codec, alg, r, ranks, err)
						}
					}
				}
			}
		}
	}
}

// naive adds the lanes up one value after another in int64.
func naive(q allreduce.Quantizer, lanes [][]float32, exps []byte) []int64 {
	total := make([]int64, len(lanes[0]))
	for l, g := range lanes {
		one := make([]int32, len(g))
		q.SumLanes(one, exps, allreduce.Lane{Gradient: g, Noise: laneKey(l)})
		for i, s := range one {
			total[i] += int64(s)
		}
	}
	return total
}

func laneKey(lane int) job.Key { return job.NewKey(1, job.ForRounding, 0, uint64(lane)) }

// Whatever lanes a node carries, adjacent or not, even or not, none at all.
func TestAnyGroupingOfLanesGivesTheSameSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		codec := rapid.SampledFrom(codecs).Draw(t, "codec")
		alg := rapid.SampledFrom(algorithms).Draw(t, "algorithm")
		lanes, ranks := rapid.IntRange(1, 9).Draw(t, "lanes"), rapid.IntRange(1, 10).Draw(t, "ranks")
		n := rapid.IntRange(1, 1200).Draw(t, "values")
		top := rapid.SliceOfN(rapid.Byte().Filter(func(b byte) bool { return b < 248 }), 5, 5).Draw(t, "tops")
		seed := rapid.Uint64().Draw(t, "seed")
		carrier := rapid.SliceOfN(rapid.IntRange(0, ranks-1), lanes, lanes).Draw(t, "carrier of each lane")

		g := make([][]float32, lanes)
		for l := range g {
			g[l] = blocksOfSizes(n, top, job.NewKey(seed, job.ForProbe, uint64(l)))
		}
		q, err := allreduce.NewQuantizer(codec, lanes)
		if err != nil {
			t.Fatal(err)
		}
		exps := make([]byte, allreduce.Blocks(n))
		for _, lane := range g {
			allreduce.MaxExponents(exps, lane)
		}
		want := make([]int32, n)
		for i, s := range naive(q, g, exps) {
			if want[i] = int32(s); int64(want[i]) != s {
				t.Fatalf("the sum %d does not fit", s)
			}
		}
		wantExps := slices.Clone(exps)
		q.Requantize(want, wantExps, requanted, 0)

		errs := ringtest.Each(ringtest.New(ranks).Meshes(), func(m allreduce.Mesh) error {
			sum, exps := make([]int32, n), make([]byte, allreduce.Blocks(n))
			for l, lane := range g {
				if carrier[l] == m.Rank() {
					allreduce.MaxExponents(exps, lane)
				}
			}
			if _, _, err := allreduce.Agree(context.Background(), m, exps, allreduce.Tail{}, nil); err != nil {
				return err
			}
			var carried []allreduce.Lane
			for l, lane := range g {
				if carrier[l] == m.Rank() {
					carried = append(carried, allreduce.Lane{Gradient: lane, Noise: laneKey(l)})
				}
			}
			q.SumLanes(sum, exps, carried...)
			if err := allreduce.Sum(context.Background(), m, alg, q, sum, exps, requanted); err != nil {
				return err
			}
			if !slices.Equal(sum, want) || !slices.Equal(exps, wantExps) {
				return errors.New("another sum than one after another")
			}
			return nil
		})
		for r, err := range errs {
			if err != nil {
				t.Fatalf("rank %d: %v", r, err)
			}
		}
	})
}

// blocksOfSizes makes values whose blocks have, by turns, the exponents of tops
// at most; 0 makes a block of denormals.
func blocksOfSizes(n int, tops []byte, key job.Key) []float32 {
	g := make([]float32, n)
	for i := range g {
		w := key.At(uint64(i))
		e := uint32(tops[i/allreduce.Block%len(tops)])
		e -= min(e, w>>24&7)
		g[i] = math.Float32frombits(w&0x807fffff | e<<23)
	}
	return g
}

func TestReduceScatterAndAllGatherAreVerbsOfTheirOwn(t *testing.T) {
	const ranks, n = 4, 7*allreduce.Block + 3
	exps := []byte{127, 0, 127, 127, 127, 0, 127, 127}
	for _, alg := range algorithms {
		errs := ringtest.Each(ringtest.New(ranks).Meshes(), func(m allreduce.Mesh) error {
			p := allreduce.Cut(exps, ranks)
			sum, final := make([]int32, n), slices.Clone(exps)
			for i := range sum {
				if exps[i/allreduce.Block] != 0 {
					sum[i] = int32(i * (m.Rank() + 1))
				}
			}
			if err := allreduce.ReduceScatter(t.Context(), m, alg, p, sum); err != nil {
				return err
			}
			from, to := p.Range(m.Rank())
			for i, s := range p.Values(sum, m.Rank()) {
				at := from*allreduce.Block + i
				if want := int32(at * 10); exps[at/allreduce.Block] != 0 && s != want {
					return fmt.Errorf("value %d is %d after ReduceScatter, want %d", at, s, want)
				}
			}
			for b := from; b < to; b++ { // what an owner does to its piece reaches all
				if b == 2 {
					final[b] = 0
				} else if exps[b] != 0 {
					final[b]++
				}
			}
			if err := allreduce.AllGather(t.Context(), m, alg, p, sum, final); err != nil {
				return err
			}
			if want := []byte{128, 0, 0, 128, 128, 0, 128, 128}; !bytes.Equal(final, want) {
				return fmt.Errorf("exponents %v, want %v", final, want)
			}
			for i, s := range sum {
				if want := int32(i * 10); final[i/allreduce.Block] != 0 && s != want || m.Rank() != 1 && i/allreduce.Block == 2 && from > 2 && s != 0 {
					return fmt.Errorf("value %d is %d after AllGather, want %d", i, s, want)
				}
			}
			return nil
		})
		for r, err := range errs {
			if err != nil {
				t.Errorf("%v, rank %d: %v", alg, r, err)
			}
		}
	}
}

func TestAgree(t *testing.T) {
	for ranks := 1; ranks <= 12; ranks++ {
		for _, nblocks := range []int{0, 1, 5, 40} {
			want := make([]byte, nblocks)
			own := func(r int) []byte {
				e := make([]byte, nblocks)
				for b := range e {
					e[b] = byte(rounding.At(uint64(r*1000+b)) % 250)
					if r == ranks-1 && b == 3 {
						e[b] = 255 // this rank has met a NaN
					}
				}
				return e
			}
			for r := range ranks {
				for b, e := range own(r) {
					want[b] = max(want[b], e)
				}
			}
			errs := ringtest.Each(ringtest.New(ranks).Meshes(), func(m allreduce.Mesh) error {
				exps, r := own(m.Rank()), int64(m.Rank())
				tail, word, err := allreduce.Agree(t.Context(), m, exps, allreduce.Tail{1, r, -r}, fmt.Appendf(nil, "rank %d", r))
				n := int64(ranks)
				if wantTail := (allreduce.Tail{n, n * (n - 1) / 2, -n * (n - 1) / 2}); err == nil && (tail != wantTail || !bytes.Equal(exps, want) || string(word) != "rank 0") {
					err = fmt.Errorf("exponents %v, tail %v, word %q; want %v, %v, rank 0", exps, tail, word, want, wantTail)
				}
				return err
			})
			for r, err := range errs {
				if err != nil {
					t.Errorf("%d blocks, rank %d of %d: %v", nblocks, r, ranks, err)
				}
			}
		}
	}
	if _, _, err := allreduce.Agree(t.Context(), ringtest.New(2).Mesh(0), nil, allreduce.Tail{}, make([]byte, allreduce.MaxWord+1)); err == nil {
		t.Error("a word that is too long was sent")
	}
}

func TestAddTails(t *testing.T) {
	for _, ranks := range []int{1, 2, 5, 12} {
		errs := ringtest.Each(ringtest.New(ranks).Meshes(), func(m allreduce.Mesh) error {
			got, err := allreduce.AddTails(t.Context(), m, allreduce.Tail{3, 0, int64(-m.Rank())})
			n := int64(ranks)
			if want := (allreduce.Tail{3 * n, 0, -n * (n - 1) / 2}); err == nil && got != want {
				err = fmt.Errorf("got %v, want %v", got, want)
			}
			return err
		})
		if err := errors.Join(errs...); err != nil {
			t.Errorf("%d ranks: %v", ranks, err)
		}
	}
}

// One lane's NaN or one lane's overflow is everybody's verdict.
func TestEveryRankMeetsTheSameVerdict(t *testing.T) {
	for _, tt := range []struct {
		name string
		x    float32
	}{
		{"infinity", math.Float32frombits(0x7f800000)},
		{"the sum outgrows a float32", 0x1.fffffep127},
	} {
		const lanes = 4
		g := make([][]float32, lanes)
		for l := range g {
			g[l] = []float32{tt.x, 1}
		}
		q := quantizer(t, allreduce.Q8, lanes)
		for r, err := range ringtest.Each(ringtest.New(3).Meshes(), func(m allreduce.Mesh) error {
			canonical, _, err := ringtest.Step(t.Context(), m, allreduce.Auto, q, g, 0)
			if err != nil {
				return fmt.Errorf("unexpected: %w", err)
			}
			exps, sum, _, err := allreduce.ParseCanonical(canonical, 2)
			if err != nil {
				return err
			}
			_, err = q.Dequantize(sum, exps, func(int, []float32) {})
			return err
		}) {
			if !errors.Is(err, allreduce.ErrNotFinite) {
				t.Errorf("%s: rank %d got %v, want ErrNotFinite", tt.name, r, err)
			}
		}
	}
}

// When a node goes silent, the others stop at their deadline and not later. Some
// may already hold the sum by then; those must hold the same one.
func TestSumWithALostNode(t *testing.T) {
	const ranks, lost, patience = 4, 2, 30 * time.Second
	reduce := func(n uint16) allreduce.Hop { return allreduce.Hop{Phase: allreduce.PhaseReduce, N: n} }
	gather := func(n uint16) allreduce.Hop { return allreduce.Hop{Phase: allreduce.PhaseGather, N: n} }
	exponents := allreduce.Hop{Phase: allreduce.PhaseExponents}
	for _, tt := range []struct {
		alg      allreduce.Algorithm
		at       allreduce.Hop
		finished []int // ranks that hold the sum all the same
	}{
		{allreduce.Ring, exponents, nil},
		{allreduce.Ring, reduce(0), nil},
		{allreduce.Ring, gather(0), nil},
		{allreduce.Ring, gather(2), []int{0, 1}}, // the last hop of all
		{allreduce.TwoShot, reduce(0), nil},
		{allreduce.TwoShot, gather(0), nil},
		{allreduce.FanOut, reduce(0), nil},
	} {
		t.Run(fmt.Sprintf("%v at %v", tt.alg, tt.at), func(t *testing.T) {
			g := ringtest.Gradients(8, 3000)
			q := quantizer(t, allreduce.Q8, 8)
			want, _, err := ringtest.Step(t.Context(), ringtest.New(1).Mesh(0), tt.alg, q, g, 3)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				start, group := time.Now(), ringtest.New(ranks).LoseAt(lost, tt.at)
				sums := make([][]byte, ranks)
				errs := ringtest.Each(group.Meshes(), func(m allreduce.Mesh) (err error) {
					sums[m.Rank()], _, err = ringtest.Step(ctx, m, tt.alg, q, g, 3)
					return err
				})
				if took := time.Since(start); took != patience || group.Fired() != 1 {
					t.Errorf("the slowest rank took %v, want %v; the fault fired %d times", took, patience, group.Fired())
				}
				for rank, err := range errs {
					switch done := slices.Contains(tt.finished, rank); {
					case done && (err != nil || !bytes.Equal(sums[rank], want)):
						t.Errorf("rank %d: err = %v; want the sum", rank, err)
					case !done && !errors.Is(err, context.DeadlineExceeded):
						t.Errorf("rank %d: err = %v; want deadline exceeded", rank, err)
					}
				}
			})
		})
	}
}

// When a link breaks, nobody who needs it sits the deadline out.
func TestSumWithABrokenLink(t *testing.T) {
	g, q := ringtest.Gradients(8, 3000), quantizer(t, allreduce.Q8, 8)
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		group := ringtest.New(3).BreakAt(1, allreduce.Hop{Phase: allreduce.PhaseGather})
		errs := ringtest.Each(group.Meshes(), func(m allreduce.Mesh) error {
			_, _, err := ringtest.Step(t.Context(), m, allreduce.TwoShot, q, g, 3)
			return err
		})
		for rank, err := range errs {
			if !errors.Is(err, ringtest.ErrBroken) {
				t.Errorf("rank %d: %v, want a broken link", rank, err)
			}
		}
		if time.Since(start) != 0 {
			t.Errorf("it took %v", time.Since(start))
		}
		if want := "all-gather hop 0: rank 1: link is broken"; errs[0] == nil || errs[0].Error() != want {
			t.Errorf("got %v, want %s", errs[0], want)
		}
	})
}

// A message that makes no sense is an error that names its sender.
func TestSumWithACorruptMessage(t *testing.T) {
	g, q := ringtest.Gradients(8, 3000), quantizer(t, allreduce.Q8, 8)
	cut := func(b []byte) []byte { return b[:len(b)/2] }
	for _, tt := range []struct {
		alg   allreduce.Algorithm
		ranks int
		at    allreduce.Hop
	}{
		{allreduce.Ring, 3, allreduce.Hop{Phase: allreduce.PhaseReduce, N: 1}},
		{allreduce.Ring, 3, allreduce.Hop{Phase: allreduce.PhaseGather}},
		{allreduce.TwoShot, 3, allreduce.Hop{Phase: allreduce.PhaseReduce}},
		{allreduce.TwoShot, 3, allreduce.Hop{Phase: allreduce.PhaseGather}},
		{allreduce.FanOut, 3, allreduce.Hop{Phase: allreduce.PhaseReduce}},
		{allreduce.TwoShot, 3, allreduce.Hop{Phase: allreduce.PhaseExponents}},
		{allreduce.TwoShot, 10, allreduce.Hop{Phase: allreduce.PhaseExponents, N: 1}},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			group := ringtest.New(tt.ranks).CorruptAt(1, tt.at, cut)
			var bad *allreduce.MessageError
			for _, err := range ringtest.Each(group.Meshes(), func(m allreduce.Mesh) error {
				_, _, err := ringtest.Step(ctx, m, tt.alg, q, g, 3)
				return err
			}) {
				if errors.As(err, &bad) && (bad.Rank != 1 || bad.Hop != tt.at || !strings.Contains(err.Error(), "message of rank 1")) {
					t.Errorf("%v at %v: %v", tt.alg, tt.at, err)
				}
			}
			if bad == nil || group.Fired() != 1 {
				t.Errorf("%v at %v: nobody noticed", tt.alg, tt.at)
			}
		})
	}
}

func TestVectorsThatDoNotFitAreErrors(t *testing.T) {
	m, q := ringtest.New(2).Mesh(0), quantizer(t, allreduce.Q8, 8)
	for name, err := range map[string]error{
		"sum":    allreduce.Sum(t.Context(), m, allreduce.Ring, q, make([]int32, 300), []byte{1}, requanted),
		"reduce": allreduce.ReduceScatter(t.Context(), m, allreduce.Ring, allreduce.Cut([]byte{1}, 2), make([]int32, 300)),
		"ranks":  allreduce.ReduceScatter(t.Context(), m, allreduce.Ring, allreduce.Cut([]byte{1}, 3), make([]int32, 30)),
		"gather": allreduce.AllGather(t.Context(), m, allreduce.Ring, allreduce.Cut([]byte{1}, 2), make([]int32, 30), []byte{1, 1}),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// Absent blocks are not on the wire, and two shots move what a ring moves.
func TestBytesSent(t *testing.T) {
	q := quantizer(t, allreduce.Q8, 8)
	sent := func(alg allreduce.Algorithm, g [][]float32) int {
		group := ringtest.New(3)
		if err := errors.Join(ringtest.Each(group.Meshes(), func(m allreduce.Mesh) error {
			_, _, err := ringtest.Step(t.Context(), m, alg, q, g, 3)
			return err
		})...); err != nil {
			t.Fatal(err)
		}
		return group.Sent(1)
	}
	zeros := make([][]float32, 8)
	for l := range zeros {
		zeros[l] = make([]float32, 32<<10)
	}
	const agree = 2 * (64 + 128) // tail and exponents to two ranks
	if got := sent(allreduce.TwoShot, zeros); got != agree {
		t.Errorf("a vector of zeros takes %d bytes, want %d", got, agree)
	}
	g := ringtest.Gradients(8, 32<<10) // a quarter is zero
	ring, twoShot := sent(allreduce.Ring, g), sent(allreduce.TwoShot, g)
	if values := 24 << 10; twoShot > 4*values/3*10/8+agree || ring > 4*values/3*11/8+agree {
		t.Errorf("%d values in three nodes take %d bytes by ring, %d by two shots", values, ring, twoShot)
	}
	t.Logf("rank 1 of 3 sends %d bytes by ring, %d by two shots", ring, twoShot)
}

func TestNames(t *testing.T) {
	for _, a := range algorithms {
		if got, err := allreduce.ParseAlgorithm(a.String()); err != nil || got != a {
			t.Errorf("ParseAlgorithm(%v) = %v, %v", a, got, err)
		}
	}
	if _, err := allreduce.ParseAlgorithm("tree"); err == nil {
		t.Error("tree is an algorithm")
	}
	for want, got := range map[string]fmt.Stringer{
		"all-gather hop 2": allreduce.Hop{Phase: allreduce.PhaseGather, N: 2},
		"eval hop 0":       allreduce.Hop{Phase: allreduce.PhaseEval},
		"phase 9 hop 0":    allreduce.Hop{Phase: 9},
		"algorithm 9":      allreduce.Algorithm(9),
	} {
		if got.String() != want {
			t.Errorf("got %v, want %s", got, want)
		}
	}
}
