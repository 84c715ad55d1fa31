package optim

import (
	"math"
	"runtime"
	"slices"
	"testing"

	"carillon/cores"
)

func TestClipLikePyTorch(t *testing.T) {
	var fixtures struct {
		Cases []struct {
			MaxNorm       float64 `json:"max_norm"`
			Norm          float64
			Before, After tensors
		}
	}
	readJSON(t, "clip.json", &fixtures)
	for _, c := range fixtures.Cases {
		g := c.Before.flat()
		norm := meanAndNorm(g, 1)
		if math.Abs(norm-c.Norm) > 1e-7*c.Norm {
			t.Errorf("norm %v, want %v", norm, c.Norm)
		}
		factor := float32(ClipFactor(norm, c.MaxNorm))
		for i, want := range c.After.flat() {
			if got := g[i] * factor; math.Abs(float64(got-want)) > 1e-6*math.Abs(float64(want)) {
				t.Errorf("norm %v to %v, element %d: %v, want %v", c.Norm, c.MaxNorm, i, got, want)
			}
		}
	}
	if got := ClipFactor(100, 0); got != 1 {
		t.Errorf("without a limit: %v, want 1", got)
	}
}

// meanAndNorm divides by all cores, as far as they are worth it.
func meanAndNorm(g []float32, tokens int64) float64 {
	m := NewMean(len(g), tokens)
	cores.InParts(len(g), parallelFrom, func(from, to int) { m.Divide(from, g[from:to]) })
	return m.Norm()
}

// The definition: squares in order inside blocks of 256, block sums in order.
func definedNorm(g []float32) float64 {
	var total float64
	for at := 0; at < len(g); at += 256 {
		var sum float64
		for _, x := range g[at:min(len(g), at+256)] {
			square := float64(x) * float64(x)
			sum += square
		}
		total += sum
	}
	return math.Sqrt(total)
}

func TestMeanAndNormAreTheSameOnAnyNumberOfCores(t *testing.T) {
	for _, n := range []int{1, 255, 256, 257, parallelFrom - 1, parallelFrom, parallelFrom + 1, 5*parallelFrom + 77} {
		start := draws(1, n, 11)
		for _, threads := range []int{1, 2, 3, 8} {
			before := runtime.GOMAXPROCS(threads)
			g := slices.Clone(start)
			norm := meanAndNorm(g, 37)
			if want := definedNorm(g); norm != want {
				t.Errorf("%d elements, %d cores: norm of the mean %v, want %v", n, threads, norm, want)
			}
			for i, x := range start {
				if want := float32(float64(x) / 37); g[i] != want {
					t.Fatalf("%d elements, %d cores: element %d scaled to %v, want %v", n, threads, i, g[i], want)
				}
			}
			runtime.GOMAXPROCS(before)
		}
	}
}
