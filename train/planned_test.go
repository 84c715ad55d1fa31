package train

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carillon/allreduce"
	"carillon/roster"
)

// A joiner comes in after a step that rank 0 announces; nobody stalls or fails.
func TestJoinTakesHoldInBandForAllAtOnce(t *testing.T) {
	want := alone(t)
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		m := s.startAll(2)
		s.offer(s.roster(roster.Forced, m...))
		s.until("step 3", m[0].at(3))
		late := s.start("late")
		r := s.roster(roster.Planned, m[0], m[1], late)
		s.offer(r)
		s.verdict(want)
		first := uint64(0)
		for i, rec := range m[0].records {
			other := m[1].records[i]
			if rec.Roster != other.Roster || rec.Nodes != other.Nodes {
				t.Errorf("step %d: n1 made it on roster %v, n2 on %v", rec.Step, rec.Roster, other.Roster)
			}
			if rec.Roster == r.Number && first == 0 {
				first = rec.Step
			}
		}
		if first < 4 || first > 8 {
			t.Errorf("the joiner's first step is %d, want one soon after 3", first)
		}
	})
}

// While a joiner is not near, nobody waits for it, and nobody switches.
func TestNobodyWaitsForAJoinerThatIsNotNear(t *testing.T) {
	want := alone(t)
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		m := s.startAll(2)
		s.offer(s.roster(roster.Forced, m...))
		s.until("step 2", m[0].at(2))
		deaf := s.start("deaf")
		deaf.deaf = true
		s.offer(s.roster(roster.Planned, m[0], m[1], deaf))
		for _, m := range m {
			s.until(m.name+" ends", m.ended)
		}
		deaf.kill()
		s.verdict(want)
		if got := m[0].records[11].Nodes; got != 2 {
			t.Errorf("the last step was made by %d nodes, want 2", got)
		}
	})
}

// A joiner that reaches nobody ends, and says whom it does not reach; the others go on.
func TestAJoinerThatReachesNobodyEnds(t *testing.T) {
	want := alone(t)
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		m := s.startAll(2)
		m[0].pace, m[1].pace = time.Second, time.Second // so that there are steps left
		s.offer(s.roster(roster.Forced, m...))
		s.until("step 2", m[0].at(2))
		walled := s.start("walled")
		walled.walled = true
		s.offer(s.roster(roster.Planned, m[0], m[1], walled))
		began := time.Now()
		<-walled.done
		if took := time.Since(began); !errors.Is(walled.err, ErrUnreached) || !strings.Contains(walled.err.Error(), "no answer") || took > 10*time.Second {
			t.Errorf("after %v it ended with %v, want %v within ten seconds", took, walled.err, ErrUnreached)
		}
		walled.kill()
		s.verdict(want)
	})
}

// joinersNear: at the switch a joiner lacks at most two steps.
func TestRankZeroAnnouncesOnlyAJoinerThatIsNear(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		m := s.startAll(1)[0]
		late := s.start("late")
		base := s.roster(roster.Forced, m)
		plan := s.roster(roster.Planned, m, late)
		tr := m.trainer
		tr.mu.Lock()
		tr.current, tr.planned, tr.state.Step = base, plan, 9
		tr.mu.Unlock()
		for _, tt := range []struct {
			name  string
			hello Hello
			want  bool
		}{
			{"no hello", Hello{}, false},
			{"of another roster", Hello{Roster: base.Number, Step: 9}, false},
			{"three below the sum being started", Hello{Roster: plan.Number, Step: 7}, false},
			{"two below", Hello{Roster: plan.Number, Step: 8}, true},
			{"one below", Hello{Roster: plan.Number, Step: 9}, true},
		} {
			tr.mu.Lock()
			tr.hellos[late.id] = tt.hello
			tr.mu.Unlock()
			if got := tr.word().Switch == plan.Number; got != tt.want {
				t.Errorf("%s: announced %v, want %v", tt.name, got, tt.want)
			}
		}
		tr.mu.Lock()
		tr.stop = true
		tr.mu.Unlock()
		if w := tr.word(); !w.Stop || !w.Switch.IsZero() {
			t.Errorf("asked to stop, rank 0 says %+v, want the end and no switch", w)
		}
		m.stop()
		late.stop()
		s.join()
	})
}

// A node that leaves is let out at a step's boundary: no sum fails, and it goes
// on answering until it is released (V6).
func TestLeaverGoesWithoutLosingAStep(t *testing.T) {
	want := alone(t)
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		m := s.startAll(3)
		s.lead(roster.Policy{Nodes: 3}, func() { m[1].leaving = m[1].leaving || m[0].at(3)() })
		s.verdict(want)
		if m[1].err != nil {
			t.Errorf("the leaver: %v", m[1].err)
		}
		if got := m[1].trainer.Status().Step; got < 3 || got > 6 {
			t.Errorf("the leaver went after step %d, want soon after 3", got)
		}
		if got := s.current.Number.Count; got != 2 {
			t.Errorf("%d rosters, want 2: no sum may fail", got)
		}
	})
}

// V6, V7: a member that was told of a planned roster takes it when its sum fails.
func TestFailedSumTakesThePlannedRoster(t *testing.T) {
	want := alone(t)
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		s.spec.Algorithm = "ring"
		m := s.startAll(3)
		s.faultAt("n2", 5, lastHop, false) // n1 has step 5, the others fail
		late := s.start("late")
		s.offer(s.roster(roster.Forced, m...))
		s.until("the sum failed", func() bool { return m[1].trainer.Status().Failed && m[2].trainer.Status().Failed })
		before := time.Now()
		s.offer(s.roster(roster.Planned, append(m, late)...))
		s.until("all are on the planned roster", func() bool {
			return !slices.ContainsFunc(s.members, func(m *member) bool { return m.trainer.Status().Roster != s.current.Number })
		})
		if took := time.Since(before); took > time.Second {
			t.Errorf("n1, whose sum had not failed, took %v to hear that it never ends", took)
		}
		s.verdict(want)
	})
}

// A spare, in no roster, waits without work until it is needed.
func TestSpareStandsBy(t *testing.T) {
	want := alone(t)
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		m := s.startAll(2)
		spare := s.start("spare")
		s.offer(s.roster(roster.Forced, m...))
		s.until("step 4", m[0].at(4))
		if st := spare.trainer.Status(); st.Step != 0 || st.Failed || st.Roster != s.current.Number {
			t.Errorf("the spare stands at %+v, want step 0 of the roster that it is not in", st)
		}
		if spare.calls != 0 || m[0].asked[verbHello] > 3 {
			t.Errorf("the spare made %d gradients; n1 was asked %d times for a hello", spare.calls, m[0].asked[verbHello])
		}
		m[1].kill()
		s.offer(s.roster(roster.Forced, m[0], spare))
		s.verdict(want)
	})
}

// A joiner that dies before the switch is forgotten with a forced roster.
func TestJoinerThatDiesIsForgotten(t *testing.T) {
	want := alone(t)
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		m := s.startAll(2)
		late := s.start("late")
		late.joinAfter = 3
		s.lead(roster.Policy{Nodes: 2}, func() {
			if s.current.Has(late.id) && !late.isDead() {
				late.kill()
			}
		})
		s.verdict(want)
		if !late.isDead() || m[0].err != nil {
			t.Errorf("the joiner was never in a roster, or n1 ended with %v", m[0].err)
		}
	})
}

// In a drill rank 0 waits after a step until the joiner is warm.
func TestDrillHoldsForItsJoiner(t *testing.T) {
	want := alone(t)
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		s.holds = []uint64{4}
		m := s.startAll(2)
		s.offer(s.roster(roster.Forced, m...))
		s.until("rank 0 holds", func() bool { return m[0].trainer.Status().Holding == 4 })
		<-time.After(10 * time.Second)
		if got := m[0].trainer.Status().Step; got != 4 {
			t.Fatalf("n1 stands at step %d, want 4: nobody is warm", got)
		}
		late := s.start("late")
		s.offer(s.roster(roster.Planned, m[0], m[1], late))
		s.until("the joiner is near", func() bool { return late.trainer.Status().Step >= 3 })
		for _, m := range m {
			m.trainer.Heed(Orders{WarmFor: 4})
		}
		s.verdict(want)
		if got := late.records[len(late.records)-1].Nodes; got != 3 {
			t.Errorf("the last step was made by %d nodes, want 3", got)
		}
	})
}

// Many things at once, led as in a real job.
func TestSameBitsThroughAChainOfAccidents(t *testing.T) {
	change := func(s *system) { s.steps, s.spec.MaxSteps, s.spec.SaveSteps, s.spec.EvalSteps = 60, 60, 10, 7 }
	want := alone(t, change)
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		change(s)
		m := s.startAll(4)
		reduce := allreduce.Hop{Phase: allreduce.PhaseReduce}
		s.faultAt("n2", 5, reduce, true)
		s.faultAt("n3", 11, lastHopOfTwoShot, true)
		s.faultAt("n4", 21, allreduce.Hop{Phase: allreduce.PhaseExponents}, false)
		s.faultAt("n1", 33, reduce, true) // rank 0
		started := map[string]bool{}
		once := func(name string, step uint64) func() {
			return func() {
				if !started[name] && m[3].at(step)() {
					started[name] = true
					s.start(name)
				}
			}
		}
		s.lead(roster.Policy{Nodes: 4}, once("n5", 8), once("n6", 15), once("n7", 30),
			func() { m[3].leaving = m[3].leaving || m[3].at(45)() })
		s.verdict(want)
	})
}

var lastHopOfTwoShot = allreduce.Hop{Phase: allreduce.PhaseGather}
