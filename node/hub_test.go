package node

import (
	"errors"
	"testing"

	"carillon/job"
	"carillon/roster"
	"carillon/train"
)

// A node that is let in and left out again and again, heard by the coordinators, and makes
// no step, is of no use where it is, and begins anew.
func TestANodeThatTheOthersDoNotHearBeginsAnew(t *testing.T) {
	const in, out, step, fetched, silence, lately = "in", "out", "step", "fetched", "silence", "lately"
	for name, tt := range map[string]struct {
		happens []string
		change  func(*node)
		anew    bool
	}{
		"twice":                      {happens: []string{out, in, in, out, out, in, out}, anew: true},
		"once":                       {happens: []string{out, in, in, out, in, in}},
		"with a step between":        {happens: []string{in, out, in, step, out, in}},
		"after a step, twice":        {happens: []string{in, step, out, in, out}, anew: true},
		"not heard in between":       {happens: []string{in, silence, out, in, silence, out, in}},
		"not heard some time ago":    {happens: []string{in, silence, lately, out, in, silence, lately, out}, anew: true},
		"with sums that it fetched":  {happens: []string{in, fetched, out, in, fetched, out}, anew: true},
		"not heard before":           {happens: []string{silence, in, out, silence, in, out}, anew: true},
		"not a hub's":                {happens: []string{in, out, in, out}, change: func(n *node) { n.cfg.Hub = false }},
		"nowhere else to go":         {happens: []string{in, out, in, out}, change: func(n *node) { n.cfg.Coordinators = n.cfg.Coordinators[:1] }},
		"it is leaving":              {happens: []string{in, out, in, out}, change: func(n *node) { n.leaving = true }},
		"rosters that came too late": {happens: []string{in, out}, change: func(n *node) { n.welcome.newest.Incarnation = 2 }},
	} {
		t.Run(name, func(t *testing.T) {
			var why error
			n := &node{
				cfg: Config{Hub: true, Coordinators: []string{"a", "b"}}, id: "me", poke: make(chan struct{}, 1),
				refuse: func(err error) { why = err },
			}
			if tt.change != nil {
				tt.change(n)
			}
			for i, what := range tt.happens {
				r := roster.Roster{Number: job.RosterNumber{Incarnation: 1, Count: uint32(i + 1)}, Members: []roster.Member{{ID: "a"}}}
				switch what {
				case in:
					r.Members = append(r.Members, roster.Member{ID: "me"})
					n.offer(r)
				case out:
					n.offer(r)
				case step:
					n.Stepped(train.Record{Seconds: 0.1})
				case fetched:
					n.Stepped(train.Record{})
				case silence:
					n.unanswered()
				case lately: // nothing more was wrong for a while
					n.welcome.unheard = n.welcome.unheard.Add(-2 * excused)
				}
			}
			if errors.Is(why, errUnheard) != tt.anew || tt.anew && !n.leaving {
				t.Errorf("it ended with %v, leaving %v; begins anew: want %v", why, n.leaving, tt.anew)
			}
		})
	}
}
