package model

import (
	"math"
	"slices"
	"strings"
	"testing"
)

func TestSamplingFollowsTheProbabilities(t *testing.T) {
	logits := []float32{1, 3, 2, 0}
	share := func(p Sampling) (shares [4]float64) {
		const n = 20000
		for i := range n {
			shares[p.next(logits, []int32{0}, i)] += 1.0 / n
		}
		return shares
	}
	softmax := func(temperature float64, left ...int) (want [4]float64) {
		sum := 0.0
		for _, i := range left {
			want[i] = math.Exp(float64(logits[i]) / temperature)
			sum += want[i]
		}
		for i := range want {
			want[i] /= sum
		}
		return want
	}
	for name, tt := range map[string]struct {
		p    Sampling
		want [4]float64
	}{
		"the likeliest": {Sampling{}, [4]float64{0, 1, 0, 0}},
		"temperature 1": {Sampling{Temperature: 1, Seed: 3}, softmax(1, 0, 1, 2, 3)},
		"temperature 3": {Sampling{Temperature: 3, Seed: 3}, softmax(3, 0, 1, 2, 3)},
		"top-k":         {Sampling{Temperature: 1, TopK: 2, Seed: 5}, softmax(1, 1, 2)},
		"top-p":         {Sampling{Temperature: 1, TopP: 0.7, Seed: 7}, softmax(1, 1, 2)}, // 0.64, 0.24, 0.09, 0.03
		"top-p of one":  {Sampling{Temperature: 1, TopP: 0.1}, [4]float64{0, 1, 0, 0}},
	} {
		got := share(tt.p)
		for i := range got {
			if math.Abs(got[i]-tt.want[i]) > 0.012 {
				t.Errorf("%s: shares %v, want %v", name, got, tt.want)
				break
			}
		}
	}
}

func TestARepetitionIsPenalised(t *testing.T) {
	logits := []float32{2, 1.5, -0.5, -0.6}
	for _, tt := range []struct {
		text []int32
		want int32
	}{{[]int32{3}, 0}, {[]int32{0}, 1}, {[]int32{0, 1}, 0}} { // 2/1.6 = 1.25, 1.5/1.6 = 0.94
		if got := (Sampling{RepetitionPenalty: 1.6}).next(logits, tt.text, 0); got != tt.want {
			t.Errorf("after %v comes %d, want %d", tt.text, got, tt.want)
		}
	}
	if got := (Sampling{RepetitionPenalty: 2}).next([]float32{-1, -1.5}, []int32{0}, 0); got != 1 {
		t.Errorf("a negative logit is not made smaller: %d", got)
	}
}

func TestSamplingRefuses(t *testing.T) {
	for want, p := range map[string]Sampling{
		"temperature -1": {Temperature: -1}, "top-p 1.5": {Temperature: 1, TopP: 1.5}, "top-k -1": {Temperature: 1, TopK: -1},
		"repetition penalty NaN": {RepetitionPenalty: math.NaN()}, "temperature 0": {TopK: 5},
	} {
		if err := p.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want one with %q", p, err, want)
		}
	}
}

// Of equals the smaller token comes first, and what is no number last.
func TestTokensAreInOrder(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	logits := []float32{nan, -2, 0, 3, float32(math.Copysign(0, -1)), -inf, inf, 3, -1, 1e-40}
	var got []int32
	for _, key := range byLogit(logits) {
		got = append(got, int32(uint32(key)))
	}
	if want := []int32{6, 3, 7, 9, 2, 4, 8, 1, 5, 0}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
