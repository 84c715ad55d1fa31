package allreduce

import (
	"math"
	"runtime"
	"sync"

	"carillon/cores"
)

// Block is the number of values that share an exponent. The last block of a
// vector may be short.
const Block = 256

const (
	absent    = 0   // exponent of a block that is all zeros and not on the wire
	notFinite = 255 // exponent of a block that holds a NaN or an infinity
)

// Blocks is the number of blocks of a vector of n values.
func Blocks(n int) int { return (n + Block - 1) / Block }

// exponent is the biased exponent field of x; denormals count as zero.
func exponent(x float32) byte { return byte(math.Float32bits(x) >> 23) }

// MaxExponents raises dst[b] to the largest biased exponent field in block b of
// g: dst[b] = max(dst[b], E). 0 means that the block is zero (denormals count as
// zero), 255 that it holds a NaN or an infinity. len(dst) is Blocks(len(g)).
// Called for each lane of a node on the same dst, it gives the node's exponents.
func MaxExponents(dst []byte, g []float32) {
	mustMatch("gradient", len(g), len(dst))
	inParallel(len(dst), func(from, to int) {
		for b := from; b < to; b++ {
			dst[b] = max(dst[b], maxExponent(block(g, b)))
		}
	})
}

// maxExponent keeps four maxima, so that four comparisons are under way at once.
func maxExponent(g []float32) byte {
	const magnitude = 1<<31 - 1 // without the sign, floats order as their bits do
	m0, done := maxMagnitudeVectors(g)
	g = g[done:]
	var m1, m2, m3 uint32
	for ; len(g) >= 4; g = g[4:] {
		m0 = max(m0, math.Float32bits(g[0])&magnitude)
		m1 = max(m1, math.Float32bits(g[1])&magnitude)
		m2 = max(m2, math.Float32bits(g[2])&magnitude)
		m3 = max(m3, math.Float32bits(g[3])&magnitude)
	}
	for _, x := range g {
		m0 = max(m0, math.Float32bits(x)&magnitude)
	}
	return byte(max(m0, m1, m2, m3) >> 23)
}

// block is block b of v.
func block[T any](v []T, b int) []T { return v[b*Block : min((b+1)*Block, len(v))] }

// mustMatch panics unless blocks exponents belong to a vector of n values.
func mustMatch(what string, n, blocks int) {
	if Blocks(n) != blocks {
		panic(lengthError(what, n, blocks).Error())
	}
}

// parallelBlocks is how many blocks are worth a goroutine (0.2 ms of quantizing).
const parallelBlocks = 512

// workersFor is how many goroutines blocks are worth.
func workersFor(blocks int) int { return max(1, min(runtime.GOMAXPROCS(0), blocks/parallelBlocks)) }

// inParallel calls do on ranges that cover [0, blocks), and returns when all are
// done. Blocks do not depend on each other, so the cut cannot be seen in the bits.
// Absent blocks cost next to nothing and lie together: the rows of an embedding that no
// text of the step has.
func inParallel(blocks int, do func(from, to int)) { cores.InParts(blocks, parallelBlocks, do) }

// inRuns is inParallel with so many ranges of one length, numbered in their order.
func inRuns(runs, blocks int, do func(run, from, to int)) {
	if runs == 1 {
		do(0, 0, blocks)
		return
	}
	var wg sync.WaitGroup
	for w := range runs {
		wg.Go(func() { do(w, w*blocks/runs, (w+1)*blocks/runs) })
	}
	wg.Wait()
}
