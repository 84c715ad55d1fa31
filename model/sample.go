package model

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"carillon/job"
)

// Sampling says how a next token is drawn. The zero value takes the likeliest.
type Sampling struct {
	// Temperature divides the logits: below 1 the likely get likelier. 0: always
	// the likeliest token.
	Temperature float64
	// TopK leaves the so many likeliest tokens; 0: all.
	TopK int
	// TopP leaves the likeliest tokens whose probabilities together reach it, at
	// least one; 0 or 1: all. (Holtzman et al., 2020, https://arxiv.org/abs/1904.09751)
	TopP float64
	// RepetitionPenalty makes tokens that are in the text already less likely:
	// their logits are divided by it if positive, else multiplied. 0 or 1: no
	// penalty. (Keskar et al., 2019, https://arxiv.org/abs/1909.05858)
	RepetitionPenalty float64
	// Seed draws: the same seed, prompt number and text give the same token.
	Seed uint64
}

// Check returns what is wrong with the settings.
func (p Sampling) Check() error {
	switch {
	case !(p.Temperature >= 0) || math.IsInf(p.Temperature, 0):
		return fmt.Errorf("temperature %v: want 0 (always the likeliest) or more", p.Temperature)
	case p.TopK < 0:
		return fmt.Errorf("top-k %d: want 0 (all) or more", p.TopK)
	case !(p.TopP >= 0 && p.TopP <= 1):
		return fmt.Errorf("top-p %v: want 0 to 1", p.TopP)
	case !(p.RepetitionPenalty >= 0) || math.IsInf(p.RepetitionPenalty, 0):
		return fmt.Errorf("repetition penalty %v: want a number above 0, 1 for none", p.RepetitionPenalty)
	case p.Temperature == 0 && (p.TopK > 0 || p.TopP > 0 && p.TopP < 1):
		return errors.New("top-k and top-p choose among what a temperature above 0 draws from; with temperature 0 the likeliest token is taken")
	}
	return nil
}

// candidate is a token that may come next.
type candidate struct {
	token int32
	logit float64
}

// next draws the token after text, whose logits are given: penalty, temperature,
// top-k, top-p, in transformers' order. text is prompt number n's, with what was
// added to it.
func (p Sampling) next(logits []float32, text []int32, n int) int32 {
	penalised := logits
	if p.RepetitionPenalty != 0 && p.RepetitionPenalty != 1 {
		penalised = penalise(logits, text, float32(p.RepetitionPenalty))
	}
	if p.Temperature == 0 {
		return likeliest(penalised)
	}
	left := p.choose(penalised)
	u := float64(job.NewKey(p.Seed, job.ForSampling, uint64(n)).Uniform(uint64(len(text))))
	for _, c := range left[:len(left)-1] {
		if u -= c.logit; u < 0 { // a probability by now
			return c.token
		}
	}
	return left[len(left)-1].token
}

// penalise makes the tokens of a text less likely.
func penalise(logits []float32, text []int32, penalty float32) []float32 {
	out := slices.Clone(logits)
	for _, token := range text {
		if x := logits[token]; x > 0 {
			out[token] = x / penalty
		} else {
			out[token] = x * penalty
		}
	}
	return out
}

// choose returns what may come next, the likeliest first, with probabilities in
// place of logits. Of equals the smaller token comes first.
func (p Sampling) choose(logits []float32) []candidate {
	order := byLogit(logits)
	if p.TopK > 0 {
		order = order[:min(p.TopK, len(order))]
	}
	all := make([]candidate, len(order))
	for i, key := range order {
		token := int32(uint32(key))
		all[i] = candidate{token, float64(logits[token]) / p.Temperature}
	}
	probabilities(all)
	if p.TopP > 0 && p.TopP < 1 {
		sum, n := 0.0, 0
		for n < len(all) && sum < p.TopP {
			sum += all[n].logit
			n++
		}
		all = all[:n]
		for i := range all {
			all[i].logit /= sum
		}
	}
	return all
}

// byLogit returns numbers whose lower halves are the tokens, the likeliest first: one
// number a token is sorted faster than a pair.
func byLogit(logits []float32) []uint64 {
	keys := make([]uint64, len(logits))
	for i, x := range logits {
		keys[i] = uint64(rank(x))<<32 | uint64(i)
	}
	slices.Sort(keys)
	return keys
}

// rank is the smaller the larger x is, and the same for equals; NaN comes last.
func rank(x float32) uint32 {
	switch bits := math.Float32bits(x); {
	case x != x:
		return math.MaxUint32
	case x == 0:
		return 1<<31 - 1
	case x < 0:
		return bits
	default:
		return ^bits & (1<<31 - 1)
	}
}

// probabilities makes them of logits, the largest of which comes first.
func probabilities(c []candidate) {
	most, sum := c[0].logit, 0.0
	for i := range c {
		c[i].logit = math.Exp(c[i].logit - most)
		sum += c[i].logit
	}
	for i := range c {
		c[i].logit /= sum
	}
}

// likeliest returns the first index of the largest logit.
func likeliest(logits []float32) int32 {
	best := 0
	for i, x := range logits {
		if x > logits[best] {
			best = i
		}
	}
	return int32(best)
}
