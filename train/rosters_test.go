package train

import (
	"fmt"
	"testing"
	"testing/synctest"

	"carillon/allreduce"
	"carillon/roster"
)

// The promise: any number of nodes, any algorithm, the same bits.
func TestSameBitsOnAnyNumberOfNodes(t *testing.T) {
	want := alone(t)
	for _, algorithm := range []string{"ring", "twoshot", "fanout"} {
		for _, n := range []int{1, 2, 3, 5} {
			t.Run(fmt.Sprintf("%s of %d", algorithm, n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSystem(t)
					s.spec.Algorithm = algorithm
					s.offer(s.roster(roster.Forced, s.startAll(n)...))
					s.verdict(want)
				})
			})
		}
	}
}

// Wherever in a sum a node dies, or falls silent for a while, the others redo
// that step or have done it, and end with the same bits.
func TestSameBitsWhateverHappensInASum(t *testing.T) {
	want := alone(t)
	for _, kill := range []bool{true, false} {
		for _, hop := range []allreduce.Hop{
			{Phase: allreduce.PhaseExponents}, {Phase: allreduce.PhaseReduce}, {Phase: allreduce.PhaseReduce, N: 1},
			{Phase: allreduce.PhaseGather}, {Phase: allreduce.PhaseGather, N: 1},
		} {
			for _, who := range []string{"n1", "n3"} {
				t.Run(fmt.Sprintf("kill %v of %s at %v", kill, who, hop), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						s := newSystem(t)
						s.spec.Algorithm = "ring"
						s.startAll(3)
						s.faultAt(who, 5, hop, kill)
						s.lead(roster.Policy{Nodes: 3})
						s.verdict(want)
					})
				})
			}
		}
	}
}
