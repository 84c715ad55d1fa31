package allreduce_test

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"carillon/allreduce"
	"carillon/job"
)

var (
	rounding  = job.NewKey(42, job.ForRounding, 7, 3)
	requanted = job.NewKey(42, job.ForRequantize, 7)
)

func quantizer(t testing.TB, c allreduce.Codec, lanes int) allreduce.Quantizer {
	t.Helper()
	q, err := allreduce.NewQuantizer(c, lanes)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// These values are the job's bits. Whoever changes one changes every adapter
// that anybody has ever trained: change the code instead.
func TestQuantizingGivesTheGoldenIntegers(t *testing.T) {
	const denormal, tiny = 0x1p-127, 0x1p-126
	g := []float32{
		0, 1, -1, 0.5, -0.5, 0.3, -0.3, 1.0 / 3, 1.5, -1.5, 1.9999999, -1.9999999,
		0.01, -0.01, 1e-3, -1e-3, 1e-30, -1e-30, tiny, -tiny, denormal, -denormal, 0.0078125, -0.0078125,
	}
	for codec, want := range map[allreduce.Codec][]int32{
		allreduce.Q8:  goldenQ8,
		allreduce.Q16: goldenQ16,
		allreduce.Q32: goldenQ32,
	} {
		sum, exps := make([]int32, len(g)), make([]byte, 1)
		allreduce.MaxExponents(exps, g)
		quantizer(t, codec, 8).SumLanes(sum, exps, allreduce.Lane{Gradient: g, Noise: rounding})
		if exps[0] != 127 || !slices.Equal(sum, want) {
			t.Errorf("%s: exponent %d, integers\n got %v\nwant %v", codec, exps[0], sum, want)
		}
	}
}

func TestRequantizingGivesTheGoldenIntegers(t *testing.T) {
	for _, tt := range []struct {
		sum  []int32
		e    byte
		want []int32
		eOut byte
	}{
		{[]int32{0, 0, 0}, 127, []int32{0, 0, 0}, 0},                                      // absent from now on
		{[]int32{127, -127, 1, -1}, 127, []int32{127, -127, 1, -1}, 127},                  // 7 bits: untouched
		{[]int32{128, -128, 1, -1, 3, -3, 5}, 127, goldenShift1, 128},                     // 8 bits: halved
		{[]int32{1024, -1024, 1000, -1000, 999, 7, -7, 1, -1, 0}, 127, goldenShift4, 131}, // 11 bits
		{[]int32{255, -255}, 254, goldenNoRoom, 255},                                      // no exponent is left
		{[]int32{1024, -1024}, 254, []int32{64, -64}, 255},                                // nor here
		{[]int32{100, -100}, 254, []int32{100, -100}, 254},                                // but here
	} {
		sum, exps := slices.Clone(tt.sum), []byte{tt.e}
		quantizer(t, allreduce.Q8, 8).Requantize(sum, exps, requanted, 1)
		if !slices.Equal(sum, tt.want) || exps[0] != tt.eOut {
			t.Errorf("Requantize(%v, E %d) = %v, E %d; want %v, E %d", tt.sum, tt.e, sum, exps[0], tt.want, tt.eOut)
		}
		for _, codec := range []allreduce.Codec{allreduce.Q16, allreduce.Q32} {
			sum, exps := slices.Clone(tt.sum), []byte{tt.e}
			quantizer(t, codec, 8).Requantize(sum, exps, requanted, 1)
			if !slices.Equal(sum, tt.sum) || exps[0] != tt.e {
				t.Errorf("%s requantized %v to %v", codec, tt.sum, sum)
			}
		}
	}
}

func TestDequantizing(t *testing.T) {
	const top = 0x1.fffffep127
	for _, tt := range []struct {
		codec allreduce.Codec
		s     int32
		e     byte
		want  float32 // NaN: not finite
	}{
		{allreduce.Q8, 64, 127, 1},
		{allreduce.Q8, -128, 127, -2},
		{allreduce.Q8, 1, 8, 0x1p-125},
		{allreduce.Q8, 1, 7, 0x1p-126},
		{allreduce.Q8, 1, 6, 0}, // would be a denormal
		{allreduce.Q8, -2, 6, -0x1p-126},
		{allreduce.Q8, 128, 1, 0x1p-125},
		{allreduce.Q8, 5, 0, 0}, // absent: whatever stands there
		{allreduce.Q8, 127, 254, 0x1.fcp127},
		{allreduce.Q8, 128, 254, float32(math.NaN())},
		{allreduce.Q8, 0, 255, float32(math.NaN())},
		{allreduce.Q16, 1 << 14, 127, 1},
		{allreduce.Q16, 1<<18 - 1, 120, (1<<18 - 1) * 0x1p-21},
		{allreduce.Q32, 1 << 26, 127, 1},
		{allreduce.Q32, 1<<30 - 1, 127, 16}, // rounded to float32
		{allreduce.Q32, 1<<27 - 5, 254, top},
		{allreduce.Q32, 1<<27 - 1, 254, float32(math.NaN())},
	} {
		dst, err := quantizer(t, tt.codec, 8).Dequantize([]int32{tt.s}, []byte{tt.e}, func(int, []float32) {})
		switch {
		case tt.want != tt.want:
			if !errors.Is(err, allreduce.ErrNotFinite) {
				t.Errorf("%s: %d with E %d = %v, err %v; want ErrNotFinite", tt.codec, tt.s, tt.e, dst, err)
			}
		case err != nil || math.Float32bits(dst[0]) != math.Float32bits(tt.want):
			t.Errorf("%s: %d with E %d = %g, err %v; want %g", tt.codec, tt.s, tt.e, dst, err, tt.want)
		}
	}
}

func TestANonFiniteSumNamesItsBlock(t *testing.T) {
	sum, exps := make([]int32, 3*allreduce.Block-100), []byte{127, 0, 255}
	_, err := quantizer(t, allreduce.Q8, 8).Dequantize(sum, exps, func(int, []float32) {})
	if want := "block 2 of 3 (values 512 to 667): gradient is not finite"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestExponents(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, tt := range []struct {
		name string
		x    []float32
		want byte
	}{
		{"zeros", []float32{0, float32(math.Copysign(0, -1))}, 0},
		{"denormals count as zero", []float32{0x1p-127, -0x1.fffffcp-127}, 0},
		{"the smallest normal", []float32{0x1p-126, 0}, 1},
		{"the sign does not count", []float32{1, -4, 2, 3, 0.5}, 129},
		{"the largest", []float32{-0x1.fffffep127}, 254},
		{"infinity", []float32{1, 1, 1, 1, -inf}, 255},
		{"not a number", []float32{1, nan, inf}, 255},
	} {
		exps := []byte{0}
		allreduce.MaxExponents(exps, tt.x)
		if exps[0] != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, exps[0], tt.want)
		}
		exps[0] = 253
		if allreduce.MaxExponents(exps, tt.x); exps[0] != max(253, tt.want) {
			t.Errorf("%s: an exponent of 253 became %d", tt.name, exps[0])
		}
	}
}

func TestBitsOfACodec(t *testing.T) {
	for lanes, want := range map[int]int{1: 31, 2: 30, 3: 29, 4: 29, 5: 28, 8: 28, 9: 27, 4096: 19} {
		if got := quantizer(t, allreduce.Q32, lanes).Bits(); got != want {
			t.Errorf("q32 with %d lanes has %d bits, want %d", lanes, got, want)
		}
	}
	for _, tt := range []struct {
		codec allreduce.Codec
		lanes int
		want  string
	}{
		{"q4", 8, `compression "q4" is not one of q8, q16, q32`},
		{allreduce.Q8, 0, "lanes 0 is not within 1 to 4096"},
		{allreduce.Q8, 5000, "lanes 5000 is not within 1 to 4096"},
	} {
		if _, err := allreduce.NewQuantizer(tt.codec, tt.lanes); err == nil || err.Error() != tt.want {
			t.Errorf("NewQuantizer(%q, %d): %v, want %s", tt.codec, tt.lanes, err, tt.want)
		}
	}
}

// anyFloat draws finite floats of every size, denormals and zeros among them,
// and often some near the top of their block.
func anyFloat(top byte) *rapid.Generator[float32] {
	return rapid.Custom(func(t *rapid.T) float32 {
		e := rapid.OneOf(
			rapid.Uint32Range(0, uint32(top)),
			rapid.Just(uint32(top)),
			rapid.Uint32Range(uint32(max(0, int(top)-30)), uint32(top)),
			rapid.Just(uint32(0)),
		).Draw(t, "exponent")
		m := rapid.OneOf(rapid.Uint32Range(0, 1<<23-1), rapid.Just(uint32(0)), rapid.Just(uint32(1<<23-1))).Draw(t, "mantissa")
		sign := rapid.Uint32Range(0, 1).Draw(t, "sign")
		return math.Float32frombits(sign<<31 | e<<23 | m)
	})
}

// reference is DESIGN's formula for one value in arithmetic without limits,
// rounded where it says so: the product is exact, the addition rounds once, to 24
// bits (q8, q16) or 53 (q32), values below 2^-126 count as zero.
func reference(codec allreduce.Codec, b, e int, x, u float32) int32 {
	precision := uint(24)
	if codec == allreduce.Q32 {
		precision = 53
	}
	smallest := big.NewFloat(0x1p-126)
	exact := new(big.Float).SetPrec(300).SetFloat64(float64(x))
	if new(big.Float).Abs(exact).Cmp(smallest) < 0 {
		return 0
	}
	exact.SetMantExp(exact, b-1-(e-126))
	if new(big.Float).Abs(exact).Cmp(smallest) < 0 {
		return 0
	}
	v := new(big.Float).SetPrec(precision).Add(exact, big.NewFloat(float64(u)))
	q, _ := v.Int64()
	if v.Sign() < 0 && !v.IsInt() {
		q--
	}
	return int32(q)
}

func TestQuantizingIsTheFormula(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		codec := rapid.SampledFrom([]allreduce.Codec{allreduce.Q8, allreduce.Q16, allreduce.Q32}).Draw(t, "codec")
		lanes := rapid.IntRange(1, 64).Draw(t, "lanes")
		top := byte(rapid.IntRange(1, 254).Draw(t, "top"))
		g := rapid.SliceOfN(anyFloat(top), 1, 2*allreduce.Block+9).Draw(t, "gradient")
		key := job.NewKey(rapid.Uint64().Draw(t, "seed"), job.ForRounding, 1, 2)

		q, err := allreduce.NewQuantizer(codec, lanes)
		if err != nil {
			t.Fatal(err)
		}
		sum, exps := make([]int32, len(g)), make([]byte, allreduce.Blocks(len(g)))
		allreduce.MaxExponents(exps, g)
		for b := range exps { // another lane may have raised it
			exps[b] = max(exps[b], byte(rapid.IntRange(0, 254).Draw(t, "other lane")))
		}
		q.SumLanes(sum, exps, allreduce.Lane{Gradient: g, Noise: key})
		for i, x := range g {
			u := float32(0.5)
			if codec == allreduce.Q8 {
				u = key.Uniform(uint64(i))
			}
			e := int(exps[i/allreduce.Block])
			want := int32(0)
			if e != 0 {
				want = reference(codec, q.Bits(), e, x, u)
			}
			if limit := int32(1) << (q.Bits() - 1); sum[i] != want || sum[i] > limit || sum[i] < -limit {
				t.Fatalf("%s: %g with E %d and u %g is %d, want %d", codec, x, e, u, sum[i], want)
			}
		}
	})
}

// Stochastic rounding must not lean: with noise over all its values, the mean is x.
func TestQ8IsUnbiased(t *testing.T) {
	q, exps := quantizer(t, allreduce.Q8, 8), []byte{127}
	for _, x := range []float32{0.3, -0.3, 1.2345, -1.2345} {
		const draws = 20_000
		var total int64
		for i := range draws {
			sum := []int32{0}
			q.SumLanes(sum, exps, allreduce.Lane{Gradient: []float32{x}, Noise: job.NewKey(uint64(i), job.ForRounding, 0, 0)})
			total += int64(sum[0])
		}
		if mean := float64(total) / draws / 64; math.Abs(mean-float64(x)) > 5*0.5/64/math.Sqrt(draws) {
			t.Errorf("the mean of %g is %g", x, mean)
		}
	}
}

func TestRequantizingKeepsItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q, _ := allreduce.NewQuantizer(allreduce.Q8, 8)
		limit := int32(1) << rapid.IntRange(0, 20).Draw(t, "size")
		sum := rapid.SliceOfN(rapid.Int32Range(-limit, limit), 1, 3*allreduce.Block).Draw(t, "sum")
		exps := make([]byte, allreduce.Blocks(len(sum)))
		for b := range exps {
			exps[b] = byte(rapid.IntRange(1, 254).Draw(t, "exponent"))
		}
		got, after := slices.Clone(sum), slices.Clone(exps)
		q.Requantize(got, after, requanted, 5)
		for i, s := range got {
			e, before := int(after[i/allreduce.Block]), int(exps[i/allreduce.Block])
			switch shift := e - before; {
			case e == 0:
				if sum[i] != 0 {
					t.Fatalf("%d is in an absent block", sum[i])
				}
			case e == 255: // the verdict
			case shift < 0 || s > 128 || s < -128:
				t.Fatalf("%d with E %d became %d with E %d", sum[i], before, s, e)
			case math.Abs(float64(s)*math.Ldexp(1, shift)-float64(sum[i])) >= math.Ldexp(1, shift):
				t.Fatalf("%d became %d << %d", sum[i], s, shift)
			}
		}
		again := slices.Clone(sum) // a piece alone gives the same bits
		if n := len(exps); n > 1 {
			q.Requantize(again[allreduce.Block:], exps[1:], requanted, 6)
			if !slices.Equal(again[allreduce.Block:], got[allreduce.Block:]) || !slices.Equal(exps[1:], after[1:]) {
				t.Fatal("a piece of the vector gives other bits than the whole")
			}
		}
	})
}

// A vector so long that goroutines share it has the bits of its parts.
func TestManyGoroutinesGiveTheSameBits(t *testing.T) {
	const n = 1<<18 + 5
	g := make([]float32, n)
	for i := range g {
		g[i] = float32(rounding.Uniform(uint64(i)) - 0.5)
	}
	q := quantizer(t, allreduce.Q16, 8)
	sum, exps := make([]int32, n), make([]byte, allreduce.Blocks(n))
	allreduce.MaxExponents(exps, g)
	q.SumLanes(sum, exps, allreduce.Lane{Gradient: g, Noise: rounding})
	for from := 0; from < n; from += 100 * allreduce.Block {
		to := min(n, from+100*allreduce.Block)
		part, e := make([]int32, to-from), make([]byte, allreduce.Blocks(to-from))
		allreduce.MaxExponents(e, g[from:to])
		q.SumLanes(part, e, allreduce.Lane{Gradient: g[from:to], Noise: rounding})
		if !slices.Equal(part, sum[from:to]) || !slices.Equal(e, exps[from/allreduce.Block:allreduce.Blocks(to)]) {
			t.Fatalf("values %d to %d differ", from, to)
		}
	}
}

// The sum of all lanes at once is that of one after the other, whatever stood there.
func TestLanesAtOnceGiveTheSameBits(t *testing.T) {
	const n = 3*allreduce.Block + 5
	for _, codec := range []allreduce.Codec{allreduce.Q8, allreduce.Q16, allreduce.Q32} {
		q, exps := quantizer(t, codec, 3), make([]byte, allreduce.Blocks(n))
		var lanes []allreduce.Lane
		for l := range 3 {
			g, key := make([]float32, n), job.NewKey(42, job.ForRounding, 7, uint64(l))
			for i := range allreduce.Block * 2 { // the last two blocks are absent
				g[i] = float32(key.Uniform(uint64(i)) - 0.5)
			}
			allreduce.MaxExponents(exps, g)
			lanes = append(lanes, allreduce.Lane{Gradient: g, Noise: key})
		}
		exps[1] = 255 // as a lane of another node may have it
		want, got, one := make([]int32, n), slices.Repeat([]int32{7}, n), make([]int32, n)
		for _, l := range lanes {
			q.SumLanes(one, exps, l)
			for i, s := range one {
				want[i] += s
			}
		}
		if q.SumLanes(got, exps, lanes...); !slices.Equal(got, want) {
			t.Errorf("%s: other integers", codec)
		}
		if !slices.Equal(got[allreduce.Block:], make([]int32, n-allreduce.Block)) {
			t.Errorf("%s: blocks that are not finite, or absent, are not zero", codec)
		}
	}
}

func TestLossCount(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	for _, tt := range []struct {
		loss      float32
		want, bad int64
	}{
		{0, 0, 0}, {1, 1 << 20, 0}, {-2, -2 << 20, 0}, {0x1.8p-20, 2, 0}, {0x1p-21, 0, 0}, {0x1.8p-19, 3, 0},
		{inf, 0, 1}, {-inf, 0, 1}, {nan, 0, 1}, {math.MaxFloat32, 1 << 50, 0}, {-math.MaxFloat32, -1 << 50, 0},
	} {
		t.Run(fmt.Sprint(tt.loss), func(t *testing.T) {
			var tail allreduce.Tail
			tail.AddLoss(tt.loss)
			if got := allreduce.LossCount(tt.loss); got != tt.want || tail[allreduce.Loss] != tt.want || tail[allreduce.BadLoss] != tt.bad {
				t.Errorf("LossCount = %d, tail %v; want %d, %d bad", got, tail, tt.want, tt.bad)
			}
		})
	}
}
