// Package optim turns a finished gradient into new parameters, on the host, on
// flat float32 vectors.
//
// # Same bits
//
// The same numbers in give the same bits out, on every machine and however the
// vector is cut over goroutines: plain float32 operations in a fixed order, each
// product rounded before it is added (Go may fuse the two otherwise), norms in
// float64 by blocks. What a step needs once (learning rate, bias corrections,
// clip factor) is float64, rounded to float32 before it is used. Nothing here
// carries state: the corrections follow from the number of updates alone.
//
// # Failure
//
// There is none: whether a gradient is finite was decided before.
package optim

import (
	"math"

	"carillon/cores"
)

// Group is the elements [From, To) of a flat vector that are updated alike.
type Group struct {
	From, To int
	Decay    bool    // they decay
	Rate     float64 // what their learning rate is multiplied by; 0: 1
}

// AdamW is Adam with decoupled weight decay (Loshchilov and Hutter, 2019,
// https://arxiv.org/abs/1711.05101, algorithm 2), as PyTorch computes it:
//
//	w <- w - lr·λ·w                      where the element decays; lr is its group's
//	m <- β1·m + (1-β1)·g
//	v <- β2·v + (1-β2)·g²
//	w <- w - lr/(1-β1ᵗ) · m / (√v/√(1-β2ᵗ) + ε)
type AdamW struct {
	Beta1, Beta2 float64
	Epsilon      float64
	WeightDecay  float64
	Groups       []Group // in order, not overlapping; what is in none does not decay
}

// constants are what is the same for all elements of a group in an update.
type constants struct {
	clip, keep     float32 // gradient factor; 1 - lr·λ
	b1, c1, b2, c2 float32 // β, 1-β
	step, root     float32 // lr/(1-β1ᵗ); √(1-β2ᵗ)
	eps            float32
}

// update is what is the same for all elements in an update.
type update struct {
	constants         // but for keep and step, which are those of no group
	lr, decay float64 // lr and λ
	bias      float64 // 1-β1ᵗ
}

func (a *AdamW) constants(updates uint64, lr, clip float64) update {
	t := updates + 1
	u := update{lr: lr, decay: a.WeightDecay, bias: 1 - power(a.Beta1, t)}
	u.constants = constants{
		clip: float32(clip),
		b1:   float32(a.Beta1), c1: float32(1 - a.Beta1),
		b2: float32(a.Beta2), c2: float32(1 - a.Beta2),
		root: float32(math.Sqrt(1 - power(a.Beta2, t))),
		eps:  float32(a.Epsilon),
	}
	u.constants = u.of(Group{})
	return u
}

// of returns the constants of a group.
func (u *update) of(g Group) constants {
	c, lr := u.constants, u.lr
	if g.Rate != 0 {
		lr *= g.Rate
	}
	c.keep, c.step = 1, float32(lr/u.bias)
	if g.Decay {
		c.keep = float32(1 - float64(lr*u.decay))
	}
	return c
}

// power returns xⁿ by repeated multiplication, 0 <= x < 1: the same bits
// everywhere, which math.Pow does not promise. It ends early where 1 - xⁿ is 1
// from there on.
func power(x float64, n uint64) float64 {
	const nothing = 1.0 / (1 << 54)
	p := 1.0
	for i := uint64(0); i < n && p >= nothing; i++ {
		p *= x
	}
	return p
}

// Update returns what makes one update of the elements [from, to) of the parameters w,
// with gradient g and moments m and v, all of one length. updates counts those made
// before, lr is the learning rate, and clip what the gradient is multiplied by
// first (ClipFactor). Ranges that do not overlap may be updated at once.
func (a *AdamW) Update(w, g, m, v []float32, updates uint64, lr, clip float64) func(from, to int) {
	u := a.constants(updates, lr, clip)
	return func(from, to int) { a.update(w, g, m, v, u, from, to) }
}

func (a *AdamW) update(w, g, m, v []float32, u update, from, to int) {
	at := from
	for _, d := range a.Groups {
		if d.To <= at || d.From >= to {
			continue
		}
		c := u.of(d)
		u.apply(w, g, m, v, at, max(at, d.From))
		c.apply(w, g, m, v, max(at, d.From), min(to, d.To))
		at = min(to, d.To)
	}
	u.apply(w, g, m, v, at, to)
}

// apply updates the elements [from, to), all alike. Multiplying by keep = 1
// changes nothing, so there is one loop.
func (c *constants) apply(w, g, m, v []float32, from, to int) {
	if from >= to {
		return
	}
	w, g, m, v = w[from:to], g[from:to], m[from:to], v[from:to]
	done := c.applyVectors(w, g, m, v)
	w, g, m, v = w[done:], g[done:], m[done:], v[done:]
	g, m, v = g[:len(w)], m[:len(w)], v[:len(w)] // so that the loop checks no bounds
	for i := range w {
		x := float32(g[i] * c.clip)
		mi := float32(c.b1*m[i]) + float32(c.c1*x)
		vi := float32(c.b2*v[i]) + float32(c.c2*float32(x*x))
		m[i], v[i] = mi, vi
		root := float32(math.Sqrt(float64(vi)))
		w[i] = float32(w[i]*c.keep) - float32(c.step*float32(mi/(float32(root/c.root)+c.eps)))
	}
}

// parallelFrom is the size from which cutting an update over cores pays: whole blocks.
const parallelFrom = 1 << 15

// UpdateAll makes one update of all elements on all cores: the bits are those of
// Update over any ranges.
func (a *AdamW) UpdateAll(w, g, m, v []float32, updates uint64, lr, clip float64) {
	cores.InParts(len(w), parallelFrom, a.Update(w, g, m, v, updates, lr, clip))
}
