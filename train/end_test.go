package train

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"carillon/allreduce"
	"carillon/roster"
)

// Asked to stop, all end after the same step, save it, and a later run from
// there ends with the bits of a run that was never stopped.
func TestStopWordEndsAllAfterOneStep(t *testing.T) {
	want := alone(t)
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		m := s.startAll(3)
		s.offer(s.roster(roster.Forced, m...))
		s.until("step 4", m[0].at(4))
		for _, m := range m {
			m.trainer.Heed(Orders{Stop: true})
		}
		s.join()
		end := m[0].outcome()
		if end.step < 5 || end.step > 6 {
			t.Errorf("ended after step %d, want the one after 4 that was not announced yet", end.step)
		}
		s.verdict(end)
		if !slices.Equal(s.saves, []uint64{end.step}) {
			t.Errorf("saved at %v, want %d", s.saves, end.step)
		}
		s.members = nil
		s.offer(s.roster(roster.Forced, s.startAll(2)...))
		s.verdict(want)
	})
}

// A member that was not there for the stop word hears of the end by hello.
func TestEndIsToldToWhoMissedIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		s.spec.Algorithm, s.allShares = "ring", true
		m := s.startAll(3)
		s.faultAt("n2", 5, lastHop, false)
		s.offer(s.roster(roster.Forced, m...))
		s.until("step 4", m[0].at(4))
		m[0].trainer.Heed(Orders{Stop: true})
		s.until("the sum failed", func() bool { return m[1].trainer.Status().Failed && m[2].trainer.Status().Failed })
		if got := m[0].trainer.Status(); got.Step != 5 || !got.Finished {
			t.Fatalf("n1 stands at %+v, want the end after step 5", got)
		}
		s.offer(s.roster(roster.Forced, m[1], m[2], m[0]))
		s.join()
		s.verdict(m[0].outcome())
	})
}

// Asked to save, rank 0 announces it, and the step goes on.
func TestSaveWordSavesAtOneStep(t *testing.T) {
	want := alone(t)
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		m := s.startAll(2)
		s.offer(s.roster(roster.Forced, m...))
		s.until("step 4", m[0].at(4))
		for _, m := range m {
			m.trainer.Heed(Orders{Save: true})
		}
		s.verdict(want)
		if len(s.saves) != 2 || s.saves[0] < 5 || s.saves[0] > 6 {
			t.Errorf("saved at %v, want 5 or 6 and the end", s.saves)
		}
	})
}

// The held-out loss is the same on any number of nodes, and computed again
// when the sum of it failed.
func TestEvaluationIsDoneAgain(t *testing.T) {
	losses := func(n int, fail bool) map[uint64]allreduce.Tail {
		got := map[uint64]allreduce.Tail{}
		synctest.Test(t, func(t *testing.T) {
			s := newSystem(t)
			s.spec.EvalSteps = 5
			m := s.startAll(n)
			if fail {
				s.faultAt("n3", 5, allreduce.Hop{Phase: allreduce.PhaseEval}, true)
			}
			s.lead(roster.Policy{Nodes: n})
			s.join()
			for _, rec := range m[0].records {
				if rec.EvalTail != nil {
					got[rec.Step] = *rec.EvalTail
				}
			}
		})
		return got
	}
	want := losses(1, false)
	if len(want) != 3 || want[5] == want[10] || want[12][allreduce.Examples] != 10 {
		t.Fatalf("alone: %v, want evaluations of 10 examples after 5, 10 and 12", want)
	}
	for name, got := range map[string]map[uint64]allreduce.Tail{"of three": losses(3, false), "redone": losses(3, true)} {
		for step, tail := range want {
			if got[step] != tail {
				t.Errorf("%s: after step %d %v, want %v", name, step, got[step], tail)
			}
		}
	}
}

// Each step is reported once, in order, by everybody who made it.
func TestEveryStepIsReportedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		m := s.startAll(3)
		s.faultAt("n3", 6, allreduce.Hop{Phase: allreduce.PhaseReduce}, true)
		s.lead(roster.Policy{Nodes: 3})
		for _, m := range m[:2] {
			for i, rec := range m.records {
				if rec.Step != uint64(i+1) || rec.Tail[allreduce.Examples] != 10 || rec.Norm <= 0 || math.IsNaN(rec.Norm) {
					t.Errorf("%s: record %d is %+v", m.name, i, rec)
				}
			}
			if len(m.records) != 12 {
				t.Errorf("%s: %d records, want 12", m.name, len(m.records))
			}
		}
	})
}

// A gradient that is not a number is the same error on all nodes: no roster helps.
func TestGradientThatIsNotFiniteEndsTheJobOnAllNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		m := s.startAll(3)
		m[1].nan = 5 // of n2's two lanes: in step 3
		s.offer(s.roster(roster.Forced, m...))
		s.join()
		for _, m := range m {
			if m.err == nil || !errors.Is(m.err, allreduce.ErrNotFinite) || !strings.Contains(m.err.Error(), "step 3") || !strings.Contains(m.err.Error(), "learning_rate") {
				t.Errorf("%s ended with %v, want what is not finite in step 3, and the cure", m.name, m.err)
			}
			if got := m.trainer.Status().Step; got != 2 {
				t.Errorf("%s stands at step %d, want 2", m.name, got)
			}
		}
	})
}

// A device that forgets ends its node, with the reason; it is found within 50 steps.
func TestDeviceThatForgetsIsFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		s.steps = 60
		m := s.startAll(1)[0]
		m.learner.broken = true
		s.offer(s.roster(roster.Forced, m))
		s.join()
		if m.err == nil || !strings.Contains(m.err.Error(), "bad memory") {
			t.Errorf("ended with %v, want bad memory", m.err)
		}
	})
}

// A drill kills the node in its step, after the gradients.
func TestDrillKillsInItsStep(t *testing.T) {
	want := alone(t)
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		s.start("n1")
		victim := s.start("n2", func(c *Config) { c.KillAt = 7 })
		s.lead(roster.Policy{Nodes: 2})
		s.verdict(want)
		if got := victim.trainer.Status().Step; got != 6 || !victim.isDead() {
			t.Errorf("n2 died after step %d, want 6", got)
		}
	})
}

// Whoever is asked to end, ends, wherever it waits.
func TestContextEndsEveryWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		m := s.startAll(3)
		idle := s.start("idle")
		s.offer(s.roster(roster.Forced, m[0], m[1])) // m[2] stands by
		s.until("step 2", m[0].at(2))
		for _, m := range []*member{idle, m[2], m[1], m[0]} {
			m.stop()
			s.until(m.name+" ends", m.ended)
			if m.err == nil {
				t.Errorf("%s ended without an error, before the job did", m.name)
			}
		}
	})
}
