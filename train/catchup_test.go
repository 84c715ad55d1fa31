package train

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"carillon/allreduce"
	"carillon/job"
	"carillon/roster"
)

// lastHop is where a sum ends for some and not for others: who waits for a
// piece of a node that dies there lacks it, the rest have the whole sum.
var lastHop = allreduce.Hop{Phase: allreduce.PhaseGather, N: 1}

// V3: the others finished a sum that one did not; it fetches what it missed.
func TestMissedSumIsFetched(t *testing.T) {
	want := alone(t)
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		s.spec.Algorithm = "ring"
		m := s.startAll(3)
		s.faultAt("n2", 5, lastHop, false)
		s.offer(s.roster(roster.Forced, m...))
		s.until("n1 has step 5, the sum failed on the others", func() bool {
			return m[0].at(5)() && m[1].trainer.Status().Failed && m[2].trainer.Status().Failed
		})
		if got := m[1].trainer.Status().Step; got != 4 {
			t.Fatalf("n2 stands at step %d, want 4", got)
		}
		s.offer(s.roster(roster.Forced, m...))
		s.verdict(want)
		// Who has fetched it may be asked by the other.
		sums, states := 0, 0
		for _, node := range m {
			sums, states = sums+node.asked[verbSum], states+node.asked[verbState]
		}
		if first := m[0].asked[verbSum]; sums != 2 || states != 0 || first < 1 {
			t.Errorf("%d sums, %d of them of n1, and %d states were asked for, want 2 (by n2 and n3), at least one of n1, and 0", sums, first, states)
		}
	})
}

// A node that lacks more sums than are kept takes the whole state.
func TestWholeStateIsFetchedWhereSumsAreNotKept(t *testing.T) {
	want := alone(t)
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		m := s.startAll(2)
		m[0].trainer.history.keep = 2
		late := s.start("late")
		s.offer(s.roster(roster.Forced, m[0]))
		s.until("step 6", m[0].at(6))
		s.offer(s.roster(roster.Forced, m[0], m[1], late))
		s.verdict(want)
		if sums, states := m[0].asked[verbSum], m[0].asked[verbState]; sums < 2 || states == 0 {
			t.Errorf("asked for %d sums and %d pieces of the state, want some of both", sums, states)
		}
	})
}

// A whole roster that starts behind what is saved takes the checkpoint.
func TestCheckpointIsTakenWhereNobodyStandsThere(t *testing.T) {
	want := alone(t)
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		s.spec.SaveSteps = 4
		old := s.startAll(1)[0]
		s.offer(s.roster(roster.Forced, old))
		fresh := []*member{s.start("f1"), s.start("f2")} // from step 0: nothing is saved yet
		s.until("step 9", old.at(9))
		old.kill()
		s.offer(s.roster(roster.Forced, fresh...))
		s.verdict(want)
	})
}

// V8: who has started a sum that cannot be finished drops it when a member says
// hello from further on.
func TestLaterHigherHelloWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		m := s.startAll(2)
		r := s.roster(roster.Forced, m...)
		m[0].trainer.mu.Lock()
		m[0].trainer.current, m[0].trainer.settled = r, true
		ended := error(nil)
		m[0].trainer.riding = func(cause error) { ended = cause }
		m[0].trainer.mu.Unlock()
		say := func(h Hello) {
			t.Helper()
			if _, err := m[0].trainer.answerHello(m[1].id, mustJSON(t, h)); err != nil {
				t.Fatal(err)
			}
		}
		say(Hello{Protocol: Protocol, Node: m[1].id, Roster: r.Number, Step: 0})
		say(Hello{Protocol: Protocol, Node: m[1].id, Roster: job.RosterNumber{Incarnation: 1, Count: 9}, Step: 3})
		if ended != nil {
			t.Fatalf("the sum was dropped: %v; no hello of its roster is higher", ended)
		}
		say(Hello{Protocol: Protocol, Node: m[1].id, Roster: r.Number, Step: 1})
		if !errors.Is(ended, errLost) {
			t.Errorf("a higher hello on the same roster ended the sum with %v, want errLost", ended)
		}
		m[0].trainer.mu.Lock()
		m[0].trainer.riding = nil
		m[0].trainer.mu.Unlock()
		m[0].stop()
		m[1].stop()
		s.join()
	})
}

// Two states under one step are nothing that waiting would mend.
func TestDifferentBitsEndTheJob(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		m := []*member{s.start("n1"), s.start("n2", func(c *Config) { c.Start.Digest[0]++ })}
		s.offer(s.roster(roster.Forced, m...))
		s.join()
		for _, m := range m {
			var split *SplitError
			if !errors.As(m.err, &split) || split.Step != 0 {
				t.Errorf("%s ended with %v, want a SplitError of step 0", m.name, m.err)
			}
		}
	})
}

// A sum that leads elsewhere than where its giver stands is found at once.
func TestFetchedSumProvesItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		m := []*member{s.start("n1"), s.start("n2", func(c *Config) { c.Start.W[3]++ })} // digest as if nothing were wrong
		s.offer(s.roster(roster.Forced, m[0]))
		s.until("step 2", m[0].at(2))
		s.offer(s.roster(roster.Forced, m...))
		s.until("n2 ends", m[1].ended)
		var split *SplitError
		if !errors.As(m[1].err, &split) || split.Step != 1 {
			t.Errorf("n2 ended with %v, want a SplitError of step 1", m[1].err)
		}
		m[0].stop()
		s.join()
	})
}

// What a peer sends is checked before it is believed.
func TestDamagedPiecesAreErrors(t *testing.T) {
	good := piece(7, bytes.Repeat([]byte{1}, 100), [32]byte{1}, 0)
	for _, tt := range []struct {
		name   string
		answer []byte
		err    string
	}{
		{"empty", nil, "not a piece"},
		{"cut", good[:20], "not a piece"},
		{"version", append([]byte{9}, good[1:]...), "not a piece"},
		{"no data", good[:pieceHeader], "does not fit"},
		{"too much data", append(bytes.Clone(good), 1), "does not fit"},
		{"not kept", piece(7, nil, [32]byte{}, 0), "not kept"},
		{"state without meaning", good, "state of step 7"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSystem(t)
				m := s.startAll(2)
				m[1].Handle(verbState, func(job.NodeID, []byte) ([]byte, error) { return tt.answer, nil })
				r := s.roster(roster.Forced, m...)
				err := m[0].trainer.wholeState(t.Context(), r.Members[1])
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want an error with %q", err, tt.err)
				}
				m[0].stop()
				m[1].stop()
				s.join()
			})
		})
	}
}

// A large state comes in pieces, all of one moment although training goes on.
func TestStateInPiecesIsOfOneMoment(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		m := s.startAll(2)
		s.offer(s.roster(roster.Forced, m[0]))
		s.until("step 3", m[0].at(3))
		to := roster.Member{ID: m[0].id}
		a, at, _, err := m[1].trainer.fetch(t.Context(), to, verbState, 0)
		if err != nil || at != 3 {
			t.Fatalf("state of step %d: %v", at, err)
		}
		part := func(off int64) []byte {
			t.Helper()
			b, err := m[1].Ask(context.Background(), to, verbState, mustJSON(t, want{Step: 3, Off: off}))
			if err != nil {
				t.Fatal(err)
			}
			return b[pieceHeader:]
		}
		if got := part(100); !bytes.Equal(got, a[100:]) {
			t.Error("the piece from 100 on is not of the state whose first piece was asked for")
		}
		s.until("step 4", m[0].at(4))
		if got := part(100); !bytes.Equal(got, a[100:]) {
			t.Error("a later piece is of another state than the first one")
		}
		m[0].stop()
		m[1].stop()
		s.join()
	})
}
