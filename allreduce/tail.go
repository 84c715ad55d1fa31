package allreduce

import (
	"encoding/binary"
	"math"
)

// Tail is what travels beside a vector and is never rounded: counters, each the
// sum over all lanes.
type Tail [8]int64

// The counters of a Tail. Those from 5 on are reserved and zero.
const (
	Tokens     = 0 // supervised tokens
	Examples   = 1
	Loss       = 2 // summed loss in units of 2^-20 (LossCount)
	BadLoss    = 3 // lanes whose loss was not finite; they add 0 to Loss
	Overflowed = 4 // lanes that outgrew an exponent taken from the step before
)

// tailSize is the length of an encoded tail in bytes.
const tailSize = 8 * len(Tail{})

// maxLossCount bounds one lane's loss (a sum of 2^30), so that MaxLanes of them
// cannot wrap round.
const maxLossCount = 1 << 50

// LossCount is one lane's summed loss as an integer: loss * 2^20, rounded to
// even. It is 0 for a loss that is not finite, and stops at ±2^50.
func LossCount(loss float32) int64 {
	c := math.RoundToEven(float64(loss) * (1 << 20))
	if c != c || math.IsInf(c, 0) {
		return 0
	}
	return int64(max(-maxLossCount, min(maxLossCount, c)))
}

// AddLoss counts one lane's summed loss: in Loss, or in BadLoss when it is not
// finite.
func (t *Tail) AddLoss(loss float32) {
	if exponent(loss) == notFinite {
		t[BadLoss]++
	}
	t[Loss] += LossCount(loss)
}

// Add adds another node's counters.
func (t *Tail) Add(o Tail) {
	for i, c := range o {
		t[i] += c
	}
}

// append appends the counters, little-endian.
func (t Tail) append(dst []byte) []byte {
	for _, c := range t {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(c))
	}
	return dst
}

// tailOf reads the tail at the start of b, which holds at least tailSize bytes.
func tailOf(b []byte) (t Tail) {
	for i := range t {
		t[i] = int64(binary.LittleEndian.Uint64(b[8*i:]))
	}
	return t
}
