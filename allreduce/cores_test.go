package allreduce_test

import (
	"bytes"
	"errors"
	"math"
	"runtime"
	"slices"
	"testing"

	"carillon/allreduce"
	"carillon/allreduce/ringtest"
)

// A sum of this many values is cut over several cores.
const manyValues = 5*512*allreduce.Block + 77

// However many cores a node has, the job's bits are the same.
func TestCoresDoNotShowInTheBits(t *testing.T) {
	lanes := dense(2, manyValues)
	for b := 0; b < manyValues; b += 3 * allreduce.Block { // absent, and dropped by q8's noise
		end := min(b+allreduce.Block, manyValues)
		clear(lanes[0][b:end])
		clear(lanes[1][b:end])
	}
	for _, codec := range codecs {
		one := onCores(t, 1, codec, lanes)
		for _, cores := range []int{2, 3, 8} {
			if got := onCores(t, cores, codec, lanes); !bytes.Equal(got, one) {
				t.Errorf("%s: %d cores give other bits than one", codec, cores)
			}
		}
	}
}

// The same of what nodes send each other.
func TestCoresDoNotShowInASumOfSeveralNodes(t *testing.T) {
	lanes := dense(2, manyValues)
	clear(lanes[0][:3*allreduce.Block])
	clear(lanes[1][:3*allreduce.Block])
	q := quantizer(t, allreduce.Q8, len(lanes))
	var want []byte
	for _, cores := range []int{1, 4} {
		was := runtime.GOMAXPROCS(cores)
		for _, alg := range []allreduce.Algorithm{allreduce.TwoShot, allreduce.Ring, allreduce.FanOut} {
			got := make([][]byte, 2)
			errs := ringtest.Each(ringtest.New(2).Meshes(), func(m allreduce.Mesh) (err error) {
				got[m.Rank()], _, err = ringtest.Step(t.Context(), m, alg, q, lanes, 3)
				return err
			})
			if want == nil {
				want = got[0]
			}
			if err := errors.Join(errs...); err != nil || !bytes.Equal(got[0], want) || !bytes.Equal(got[1], want) {
				t.Errorf("%v on %d cores: other bits (%v)", alg, cores, err)
			}
		}
		runtime.GOMAXPROCS(was)
	}
}

// The canonical form of a step is written where that of an earlier one stood, whatever
// width the codec gives it.
func TestCanonicalFormsTakeTheSameMemoryAgain(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	g := dense(1, manyValues)[0]
	for _, codec := range codecs {
		q := quantizer(t, codec, 1)
		sum, exps := make([]int32, manyValues), make([]byte, allreduce.Blocks(manyValues))
		allreduce.MaxExponents(exps, g)
		q.SumLanes(sum, exps, allreduce.Lane{Gradient: g, Noise: laneKey(0)})
		first := allreduce.Canonical(nil, exps, sum, allreduce.Tail{1})
		want := slices.Clone(first)
		again := allreduce.Canonical(first[:0], exps, sum, allreduce.Tail{1})
		if &again[0] != &first[0] || !bytes.Equal(again, want) {
			t.Errorf("%s: other memory or other bytes", codec)
		}
	}
}

// onCores returns the canonical form of a sum of lanes, made on so many cores, and
// the bits of what it is as floats.
func onCores(t *testing.T, cores int, codec allreduce.Codec, lanes [][]float32) []byte {
	t.Helper()
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
	q := quantizer(t, codec, len(lanes))
	sum, exps := make([]int32, manyValues), make([]byte, allreduce.Blocks(manyValues))
	for _, g := range lanes {
		allreduce.MaxExponents(exps, g)
	}
	var keyed []allreduce.Lane
	for i, g := range lanes {
		keyed = append(keyed, allreduce.Lane{Gradient: g, Noise: laneKey(i)})
	}
	q.SumLanes(sum, exps, keyed...)
	q.Requantize(sum, exps, requanted, 0)
	all := allreduce.Canonical(nil, exps, sum, allreduce.Tail{1, 2})
	back, values, tail, err := allreduce.ParseCanonical(all, manyValues)
	if err != nil || !slices.Equal(back, exps) || !slices.Equal(values, sum) || tail != (allreduce.Tail{1, 2}) {
		t.Errorf("%s on %d cores: the canonical form does not read back (%v)", codec, cores, err)
	}
	seen := make([]float32, manyValues)
	floats, err := q.Dequantize(sum, exps, func(from int, g []float32) { copy(seen[from:], g) })
	if err != nil || !slices.Equal(seen, floats) {
		t.Fatalf("%s on %d cores: not all floats were handed on (%v)", codec, cores, err)
	}
	for _, x := range floats {
		all = append(all, byte(math.Float32bits(x)), byte(math.Float32bits(x)>>8), byte(math.Float32bits(x)>>16), byte(math.Float32bits(x)>>24))
	}
	return all
}
