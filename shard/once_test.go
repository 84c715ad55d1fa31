package shard_test

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"carillon/job"
	"carillon/roster"
	"carillon/shard"
)

// numbered returns a set of n training examples, whose first token is their
// number, and of some that are held out.
func numbered(t testing.TB, n int) *shard.Set {
	t.Helper()
	var examples []shard.Example
	for i := range n + 5 {
		examples = append(examples, shard.Example{Tokens: slices.Repeat([]int32{int32(i)}, 1+i%3), HeldOut: i >= n})
	}
	path := filepath.Join(t.TempDir(), "data.shard")
	if _, err := shard.Build(path, shard.Info{Vocab: n + 5, Blank: -1}, examples); err != nil {
		t.Fatal(err)
	}
	s, err := shard.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// story is a job whose nodes come and go.
type story struct {
	set    *shard.Set
	plan   shard.Plan
	step   uint64
	cur    roster.Roster
	nodes  []string // alive, by name
	lost   []string // members of cur that are not
	named  int
	batch  shard.Batch
	lanes  [][]int32 // the examples of each lane at this step
	seen   []int32   // the examples of all finished steps, in order of position
	void   int       // attempts that a forced roster cancelled
	rounds int       // rosters
}

func newStory(set *shard.Set, plan shard.Plan, nodes int) *story {
	s := &story{set: set, plan: plan}
	for range nodes {
		s.join()
	}
	return s
}

func (s *story) join() {
	s.named++
	s.nodes = append(s.nodes, fmt.Sprintf("n%04d", s.named))
}

// lose kills a node, unless it is the last.
func (s *story) lose(i int) {
	if len(s.nodes) > 1 {
		name := s.nodes[i%len(s.nodes)]
		s.nodes = slices.DeleteFunc(s.nodes, func(n string) bool { return n == name })
		s.lost = append(s.lost, name)
	}
}

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// next asks package roster, as the coordinators do. leaving is the place of the
// node that wants to go, -1 for none; failed says that a sum broke.
func (s *story) next(leaving int, failed bool) roster.Roster {
	var beats []roster.Beat
	for i, n := range slices.Concat(s.nodes, s.lost) {
		b := roster.Beat{ID: job.NodeID(n), Name: n, Addr: n, Step: s.step, Ready: true, Probe: "p", Seen: noon, ReadySince: noon.Add(-time.Hour)}
		b.Gone = i >= len(s.nodes)
		if s.cur.Has(b.ID) {
			b.Roster, b.Leaving = s.cur.Number, i == leaving
			b.Failed, b.FailedSince = failed, noon
		}
		beats = append(beats, b)
	}
	p := roster.Policy{Incarnation: 1, Lanes: s.plan.Lanes, Nodes: len(s.nodes), MinNodes: 1, Silence: time.Second, Doubt: time.Second}
	next, _ := roster.Next(noon, s.cur, beats, p)
	return next
}

// attempt has the first n members of the roster fill their lanes.
func (s *story) attempt(n int) {
	s.lanes = make([][]int32, s.plan.Lanes)
	for _, m := range s.cur.Members[:n] {
		for _, lane := range m.Lanes {
			s.set.Batch(&s.batch, s.plan, s.step, lane)
			for i := range s.batch.Real {
				s.lanes[lane] = append(s.lanes[lane], s.batch.Tokens[i*s.batch.Len])
			}
		}
	}
}

// advance goes on by one step, or by one roster that makes the step void.
func (s *story) advance(leaving int, failed bool, computed int) {
	next := s.next(leaving, failed)
	changed := next.Number != s.cur.Number
	if changed && next.Kind == roster.Forced {
		s.attempt(min(computed, len(s.cur.Members))) // nobody counts it
		s.void++
	} else {
		s.attempt(len(s.cur.Members))
		s.seen = append(s.seen, slices.Concat(s.lanes...)...)
		s.step++
	}
	if changed {
		s.cur, s.lost = next, nil
		s.rounds++
	}
}

// steps is how many steps the plan's epochs take.
func (s *story) steps() uint64 {
	perStep := s.plan.Lanes * s.plan.MicroBatch
	return uint64((int(float64(s.set.Len())*s.plan.Epochs+1) + perStep - 1) / perStep)
}

// fault says which epoch does not hold every example once; "" for none.
func fault(seen []int32, n int, epochs float64) string {
	if want := int(math.Ceil(float64(n) * epochs)); len(seen) != want {
		return fmt.Sprintf("%d examples in %v epochs of %d, want %d", len(seen), epochs, n, want)
	}
	for epoch := range (len(seen) + n - 1) / n {
		part := slices.Sorted(slices.Values(seen[epoch*n : min(len(seen), (epoch+1)*n)]))
		if last := part[len(part)-1]; int(last) >= n {
			return fmt.Sprintf("epoch %d has example %d, which is held out", epoch, last)
		}
		if len(slices.Compact(part)) != min(n, len(seen)-epoch*n) { // of n, n different: each once
			return fmt.Sprintf("epoch %d has an example twice: %v", epoch, part)
		}
	}
	return ""
}

func TestEveryExampleStandsInEachEpochOnceAtAnyNumberOfNodes(t *testing.T) {
	set := numbered(t, 43)
	for _, plan := range []shard.Plan{{Lanes: 1, MicroBatch: 1}, {Lanes: 8, MicroBatch: 2}, {Lanes: 3, MicroBatch: 5}, {Lanes: 64, MicroBatch: 2}} {
		plan.Seed, plan.Epochs, plan.Buckets = 9, 3, []int{3}
		for nodes := range plan.Lanes {
			s := newStory(set, plan, nodes+1)
			for s.step < s.steps() {
				s.advance(-1, false, 0)
			}
			if f := fault(s.seen, 43, 3); f != "" {
				t.Errorf("%d lanes of %d on %d nodes: %s", plan.Lanes, plan.MicroBatch, nodes+1, f)
			}
			if len(s.cur.Members) != nodes+1 {
				t.Fatalf("the roster has %d members, want %d", len(s.cur.Members), nodes+1)
			}
		}
	}
}

// Whoever is lost, joins, leaves or fails, at whichever step: what the finished
// steps hold is what one node alone would have had.
func TestEveryExampleStandsInEachEpochOnceUnderAnyRosterChange(t *testing.T) {
	sets := map[int]*shard.Set{}
	for _, n := range []int{1, 2, 7, 43, 128, 257} {
		sets[n] = numbered(t, n)
	}
	steps, void, rounds := uint64(0), 0, 0
	rapid.Check(t, func(t *rapid.T) {
		set := sets[rapid.SampledFrom([]int{1, 2, 7, 43, 128, 257}).Draw(t, "examples")]
		plan := shard.Plan{
			Seed:       rapid.Uint64().Draw(t, "seed"),
			Lanes:      rapid.IntRange(1, 12).Draw(t, "lanes"),
			MicroBatch: rapid.IntRange(1, 4).Draw(t, "rows"),
			Epochs:     float64(rapid.IntRange(1, 10).Draw(t, "quarters")) / 4,
			Buckets:    []int{1, 3},
		}
		s := newStory(set, plan, rapid.IntRange(1, 8).Draw(t, "nodes"))
		for s.step < s.steps() {
			event, which := rapid.IntRange(0, 7).Draw(t, "event"), rapid.IntRange(0, 8).Draw(t, "which")
			leaving := -1
			switch event {
			case 1:
				s.lose(which)
			case 2:
				s.join()
			case 3:
				leaving = which % len(s.nodes)
			case 4: // all but one at once
				for len(s.nodes) > 1 {
					s.lose(which)
				}
			}
			s.advance(leaving, event == 5, which)
		}
		alone := newStory(set, plan, 1)
		for alone.step < alone.steps() {
			alone.advance(-1, false, 0)
		}
		if !slices.Equal(s.seen, alone.seen) {
			t.Fatalf("examples %v; one node alone has %v", s.seen, alone.seen)
		}
		if f := fault(s.seen, set.Len(), plan.Epochs); f != "" {
			t.Fatal(f)
		}
		steps, void, rounds = steps+s.step, void+s.void, rounds+s.rounds
	})
	if void < 100 || rounds < 200 {
		t.Errorf("%d rosters and %d void steps in %d: nothing was tried", rounds, void, steps)
	}
	t.Logf("%d steps under %d rosters, %d void", steps, rounds, void)
}
