// Package roster decides who trains together next, and why.
//
// # How
//
// A Roster is a numbered list of members with the lanes of each. Next is a pure
// function of the current roster, the beats and a policy; it returns the next
// roster and the reason, and the current one where nothing needs to change. It
// reads no clock, sends nothing and logs nothing.
//
// # Failure
//
// Somebody is lost, or a sum failed although nobody is: a forced roster follows,
// which cancels the sum under way. Somebody wants to join or to leave: a planned
// one, which names the roster that it follows and takes hold after a step that
// rank 0 announces. Only one planned roster is open at a time.
//
// # Who decides
//
// The leader of the coordinators calls Next; a roster exists once its entry in
// the ledger is applied.
package roster

import (
	"slices"

	"carillon/job"
)

// Kind says how a roster takes hold.
type Kind string

const (
	Forced  Kind = "forced"  // at once: the sum under way is void
	Planned Kind = "planned" // after a step that rank 0 of its base announces
)

// Roster is who trains together. Members are in rank order.
type Roster struct {
	Number  job.RosterNumber `json:"number"`
	Kind    Kind             `json:"kind"`
	Base    job.RosterNumber `json:"base"` // the roster that it follows
	Members []Member         `json:"members"`
	Reason  string           `json:"reason"`
	Step    uint64           `json:"step"`              // the highest that a node had done when it was made
	Repeats int              `json:"repeats,omitempty"` // so many rosters in a row had these members, at this step
}

// Member is a node with its lanes.
type Member struct {
	ID    job.NodeID `json:"id"`
	Name  string     `json:"name"`
	Addr  string     `json:"addr"` // of its own server
	Lanes []int      `json:"lanes"`
}

// Rank returns the place of a node, or -1.
func (r Roster) Rank(id job.NodeID) int {
	return slices.IndexFunc(r.Members, func(m Member) bool { return m.ID == id })
}

// Has says whether a node is a member.
func (r Roster) Has(id job.NodeID) bool { return r.Rank(id) >= 0 }

// Lanes spreads v lanes over n members evenly: neighbours in the result are
// neighbours in lane number, and the first members carry the odd ones.
func Lanes(v, n int) [][]int {
	out := make([][]int, n)
	next := 0
	for i := range out {
		for range v/n + min(1, max(0, v%n-i)) {
			out[i] = append(out[i], next)
			next++
		}
	}
	return out
}

// Efficiency is which share of n nodes' time v lanes use: the rest they wait for those
// that carry one more.
func Efficiency(v, n int) float64 {
	turns := (v + n - 1) / n // of the node with the most lanes
	return float64(v) / float64(n*turns)
}

// ChooseLanes returns how many lanes suit a job of least to most nodes: of the numbers from
// most to twice as many the one that leaves the fewest nodes waiting, on the average over
// all numbers of nodes; of equals the smallest, since lanes make the batch.
func ChooseLanes(least, most int) (best int) {
	highest := -1.0
	for v := most; v <= 2*most; v++ {
		sum := 0.0
		for n := max(1, least); n <= most; n++ {
			sum += Efficiency(v, n)
		}
		if sum > highest+1e-9 {
			best, highest = v, sum
		}
	}
	return best
}
