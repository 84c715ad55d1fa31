package optim

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"
)

// plainAdamW is the loop that one would write first, on one core.
func plainAdamW(w, g, m, v []float32, t int, lr, b1, b2, eps, decay float32) {
	step := lr / (1 - float32(math.Pow(float64(b1), float64(t))))
	c2 := float32(math.Sqrt(1 - math.Pow(float64(b2), float64(t))))
	for i := range w {
		m[i] = b1*m[i] + (1-b1)*g[i]
		v[i] = b2*v[i] + (1-b2)*g[i]*g[i]
		w[i] -= lr * decay * w[i]
		w[i] -= step * m[i] / (float32(math.Sqrt(float64(v[i])))/c2 + eps)
	}
}

var benchSizes = []int{32_768, 3 << 20} // the demo's LoRA, about the demo's base

func BenchmarkAdamW(b *testing.B) {
	for _, n := range benchSizes {
		s, a := quiet(n), AdamW{0.9, 0.999, 1e-8, 0.01, decaying([2]int{0, n})}
		b.Run(fmt.Sprintf("plain/%d", n), func(b *testing.B) {
			b.SetBytes(int64(4 * n))
			for b.Loop() {
				plainAdamW(s.w, s.g, s.m, s.v, 100, 1e-3, 0.9, 0.999, 1e-8, 0.01)
			}
		})
		b.Run(fmt.Sprintf("all/%d", n), func(b *testing.B) {
			b.SetBytes(int64(4 * n))
			for b.Loop() {
				a.UpdateAll(s.w, s.g, s.m, s.v, 99, 1e-3, 1)
			}
		})
	}
}

// BenchmarkAdamWAgainstPlain runs the two in turn and reports the median of the
// ratios: how many times as fast as the plain loop on one core.
func BenchmarkAdamWAgainstPlain(b *testing.B) {
	for _, n := range benchSizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			s, a := quiet(n), AdamW{0.9, 0.999, 1e-8, 0.01, decaying([2]int{0, n})}
			repeat := max(1, (1<<20)/n)
			timed := func(f func()) float64 {
				start := time.Now()
				for range repeat {
					f()
				}
				return time.Since(start).Seconds()
			}
			var ratios []float64
			for b.Loop() {
				plain := timed(func() { plainAdamW(s.w, s.g, s.m, s.v, 100, 1e-3, 0.9, 0.999, 1e-8, 0.01) })
				ours := timed(func() { a.UpdateAll(s.w, s.g, s.m, s.v, 99, 1e-3, 1) })
				ratios = append(ratios, plain/ours)
			}
			slices.Sort(ratios)
			b.ReportMetric(ratios[len(ratios)/2], "x-plain")
		})
	}
}

func BenchmarkMean(b *testing.B) {
	for _, n := range benchSizes {
		g := quiet(n).g
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(4 * n))
			for b.Loop() {
				meanAndNorm(g, 1)
			}
		})
	}
}

// quiet is a system without denormals, which no training has either.
func quiet(n int) system {
	s := newSystem(n)
	for i := range n {
		s.g[i], s.m[i], s.v[i] = s.w[i]*1e-3, 0, 0
		if math.Abs(float64(s.g[i])) < 1e-12 {
			s.g[i] = 1e-3
		}
	}
	return s
}
