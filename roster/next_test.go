package roster

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"carillon/job"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func policy() Policy {
	return Policy{Incarnation: 1, Lanes: 8, Nodes: 3, Silence: 3 * time.Second, Doubt: time.Second, Grace: 10 * time.Second}
}

// beat is of a healthy node in roster 1.count; 0 is none.
func beat(name string, count uint32, step uint64, change ...func(*Beat)) Beat {
	b := Beat{ID: job.NodeID(name + "-1"), Name: name, Addr: name, Step: step, Ready: true, Probe: "p", Seen: start, ReadySince: start}
	if count > 0 {
		b.Roster = job.RosterNumber{Incarnation: 1, Count: count}
	}
	for _, f := range change {
		f(&b)
	}
	return b
}

func gone(b *Beat)     { b.Gone = true }
func warming(b *Beat)  { b.Ready = false }
func leaving(b *Beat)  { b.Leaving = true }
func finished(b *Beat) { b.Finished = true }

func silent(d time.Duration) func(*Beat)   { return func(b *Beat) { b.Seen = start.Add(-d) } }
func readyFor(d time.Duration) func(*Beat) { return func(b *Beat) { b.ReadySince = start.Add(-d) } }
func joinAfter(step uint64) func(*Beat)    { return func(b *Beat) { b.JoinAfter = step } }
func probe(p string) func(*Beat)           { return func(b *Beat) { b.Probe = p } }

func failed(ago time.Duration, suspects ...string) func(*Beat) {
	return func(b *Beat) {
		b.Failed, b.FailedSince = true, start.Add(-ago)
		for _, s := range suspects {
			b.Suspects = append(b.Suspects, job.NodeID(s+"-1"))
		}
	}
}

// standing is roster 1.count of the named members.
func standing(count uint32, step uint64, names ...string) Roster {
	r := Roster{Number: job.RosterNumber{Incarnation: 1, Count: count}, Kind: Forced, Step: step}
	lanes := Lanes(8, len(names))
	for i, n := range names {
		r.Members = append(r.Members, Member{ID: job.NodeID(n + "-1"), Name: n, Addr: n, Lanes: lanes[i]})
	}
	return r
}

func names(r Roster) string {
	var out []string
	for _, m := range r.Members {
		out = append(out, m.Name)
	}
	return strings.Join(out, " ")
}

func TestNextHasOneRowForEveryRule(t *testing.T) {
	three := standing(4, 7, "a", "b", "c")
	repeated := three
	repeated.Repeats = patience
	least := func(p *Policy) { p.MinNodes = 2 }
	for _, tt := range []struct {
		rule   string
		cur    Roster
		beats  []Beat
		adjust func(*Policy)
		kind   Kind // "" for no change
		want   string
		reason string // part of it
	}{
		{"too few to begin", Roster{}, []Beat{beat("a", 0, 0), beat("b", 0, 0)}, nil, "", "", "2 of 3 nodes are ready"},
		{"enough to begin, by name", Roster{}, []Beat{beat("c", 0, 0), beat("a", 0, 0), beat("b", 0, 0)}, nil, Forced, "a b c", "0 -> 3 nodes: 3 of 3 nodes are ready"},
		{"who warms up is not counted", Roster{}, []Beat{beat("a", 0, 0), beat("b", 0, 0), beat("c", 0, 0, warming)}, nil, "", "", "2 of 3"},
		{"a drill's joiner is not counted", Roster{}, []Beat{beat("a", 0, 0), beat("b", 0, 0), beat("c", 0, 0, joinAfter(5))}, nil, "", "", "2 of 3"},
		{"another kind of backend is not counted", Roster{}, []Beat{beat("a", 0, 0), beat("b", 0, 0), beat("c", 0, 0, probe("q"))}, func(p *Policy) { p.Probe = "p" }, "", "", "2 of 3"},
		{"min_nodes wait for more", Roster{}, []Beat{beat("a", 0, 0, readyFor(time.Minute)), beat("b", 0, 0, readyFor(9*time.Second))}, least, "", "", "2 of 3"},
		{"min_nodes begin after grace", Roster{}, []Beat{beat("a", 0, 0, readyFor(time.Minute)), beat("b", 0, 0, readyFor(11*time.Second))}, least, Forced, "a b", "2 of 3"},
		{"all were lost, others begin", standing(4, 7, "x"), []Beat{beat("x", 4, 7, gone), beat("a", 0, 0, readyFor(time.Minute))}, nil, Forced, "a", "x is lost"},

		{"nothing to do", three, []Beat{beat("a", 4, 9), beat("b", 4, 9), beat("c", 4, 8)}, nil, "", "", ""},
		{"a connection broke", three, []Beat{beat("a", 4, 9), beat("b", 4, 9, gone), beat("c", 4, 8)}, nil, Forced, "a c", "3 -> 2 nodes: b is lost (its connection broke)"},
		{"one is silent", three, []Beat{beat("a", 4, 9), beat("b", 4, 9), beat("c", 4, 8, silent(9*time.Second))}, nil, Forced, "a b", "3 -> 2 nodes: c is lost (last seen 9.0 s ago)"},
		{"one is silent, not long enough", three, []Beat{beat("a", 4, 9), beat("b", 4, 9), beat("c", 4, 8, silent(2*time.Second))}, nil, "", "", ""},
		{"blamed and silent", three, []Beat{beat("a", 4, 9, failed(2*time.Second, "c")), beat("b", 4, 9), beat("c", 4, 8, silent(2*time.Second))}, nil, Forced, "a b", "a blames it, last seen 2.0 s ago"},
		{"a leader that never heard of a member", three, []Beat{beat("a", 4, 9), beat("c", 4, 8)}, nil, Forced, "a c", "b is lost (it never beat)"},
		{"V1: a sum failed, nobody is lost", three, []Beat{beat("a", 4, 9), beat("b", 4, 9, failed(0)), beat("c", 4, 8)}, nil, Forced, "a b c", "a sum failed on b and nobody is lost"},
		{"V1 waits for the blamed to show life", three, []Beat{beat("a", 4, 9), beat("b", 4, 9, failed(0, "c")), beat("c", 4, 8, silent(time.Millisecond))}, nil, "", "", "waiting for a sign of life of c"},
		{"V1 goes on once it has", three, []Beat{beat("a", 4, 9), beat("b", 4, 9, failed(time.Second, "c")), beat("c", 4, 8)}, nil, Forced, "a b c", "nobody is lost"},
		{"V2: an old roster's failure is old news", three, []Beat{beat("a", 4, 9), beat("b", 3, 9, failed(0)), beat("c", 4, 8)}, nil, "", "", "b does not stand in roster 1.4 yet"},
		{"blamed again and again", repeated, []Beat{beat("a", 4, 7, failed(time.Second, "c")), beat("b", 4, 7), beat("c", 4, 7)}, nil, Forced, "a b", "c is blamed for 3 failed sums in a row"},
		{"blamed again, but steps were made", repeated, []Beat{beat("a", 4, 8, failed(time.Second, "c")), beat("b", 4, 7), beat("c", 4, 7)}, nil, Forced, "a b c", "nobody is lost"},

		{"one joins, last in rank", three, []Beat{beat("a", 4, 9), beat("b", 4, 9), beat("c", 4, 8), beat("0", 0, 0)}, nil, Planned, "a b c 0", "3 -> 4 nodes: 0 joins"},
		{"nobody joins who was not heard of lately", three, []Beat{beat("a", 4, 9), beat("b", 4, 9), beat("c", 4, 8), beat("d", 0, 0, silent(2*time.Second))}, nil, "", "", ""},
		{"V7: not before all stand in the last roster", three, []Beat{beat("a", 4, 9), beat("b", 4, 9), beat("c", 3, 8), beat("d", 0, 0)}, nil, "", "", "c does not stand in roster 1.4 yet"},
		{"a drill's joiner waits for its step", three, []Beat{beat("a", 4, 9), beat("b", 4, 9), beat("c", 4, 8), beat("d", 0, 0, joinAfter(10))}, nil, "", "", ""},
		{"and comes in then", three, []Beat{beat("a", 4, 10), beat("b", 4, 9), beat("c", 4, 9), beat("d", 0, 0, joinAfter(10))}, nil, Planned, "a b c d", "d joins"},
		{"no more members than lanes", three, []Beat{beat("a", 4, 9), beat("b", 4, 9), beat("c", 4, 8), beat("d", 0, 0)}, func(p *Policy) { p.Lanes = 3 }, "", "", ""},
		{"no more than max_nodes", three, []Beat{beat("a", 4, 9), beat("b", 4, 9), beat("c", 4, 8), beat("d", 0, 0)}, func(p *Policy) { p.MaxNodes = 3 }, "", "", ""},
		{"one leaves", three, []Beat{beat("a", 4, 9), beat("b", 4, 9, leaving), beat("c", 4, 8)}, nil, Planned, "a c", "3 -> 2 nodes: b leaves"},
		{"one leaves and a spare takes its place", three, []Beat{beat("a", 4, 9), beat("b", 4, 9, leaving), beat("c", 4, 8), beat("d", 0, 0)}, func(p *Policy) { p.MaxNodes = 3 }, Planned, "a c d", "3 -> 3 nodes: b leaves, d joins"},
		{"all leave", three, []Beat{beat("a", 4, 9, leaving), beat("b", 4, 9, leaving), beat("c", 4, 8, leaving)}, nil, "", "", ""},
		{"V8: a restarted node is a new one", three, []Beat{beat("a", 4, 9), beat("b", 4, 9), beat("c", 4, 8, gone), beat("c2", 0, 0)}, nil, Forced, "a b", "c is lost"},
		{"nobody joins at the end", three, []Beat{beat("a", 4, 9, finished), beat("b", 4, 9), beat("c", 4, 8), beat("d", 0, 0)}, nil, "", "", "about to end"},
		{"the finished may exit", three, []Beat{beat("a", 4, 9, finished), beat("b", 4, 9, finished, gone), beat("c", 4, 9, finished)}, nil, "", "", "has finished"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			p := policy()
			if tt.adjust != nil {
				tt.adjust(&p)
			}
			next, reason := Next(start, tt.cur, tt.beats, p)
			if !strings.Contains(reason, tt.reason) || tt.reason == "" && reason != "" {
				t.Errorf("reason = %q, want %q", reason, tt.reason)
			}
			if tt.kind == "" {
				if next.Number != tt.cur.Number {
					t.Fatalf("roster %v of %s, want no change", next.Number, names(next))
				}
				return
			}
			if next.Kind != tt.kind || names(next) != tt.want || next.Base != tt.cur.Number || next.Reason != reason {
				t.Errorf("%s roster of %s on %v (%q), want %s of %s on %v (%q)", next.Kind, names(next), next.Base, next.Reason, tt.kind, tt.want, tt.cur.Number, reason)
			}
			if want := (job.RosterNumber{Incarnation: 1, Count: tt.cur.Number.Count + 1}); next.Number != want {
				t.Errorf("number = %v, want %v", next.Number, want)
			}
		})
	}
}

// A higher incarnation makes higher numbers, whatever the count (V5).
func TestNextNumbersWithTheLedgersIncarnation(t *testing.T) {
	p := policy()
	p.Incarnation = 2
	old := standing(9, 7, "a", "b")
	next, _ := Next(start, old, []Beat{beat("a", 9, 7), beat("b", 9, 7, gone)}, p)
	if !old.Number.Less(next.Number) || next.Number.Incarnation != 2 {
		t.Errorf("number = %v after %v", next.Number, old.Number)
	}
}

func TestLanesAreEvenAndAdjacent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v, n := rapid.IntRange(1, 200).Draw(t, "lanes"), rapid.IntRange(1, 200).Draw(t, "nodes")
		got := Lanes(v, n)
		lane := 0
		for i, lanes := range got {
			if d := len(lanes) - v/n; d != 0 && (d != 1 || i >= v%n) {
				t.Fatalf("rank %d has %d of %d lanes on %d nodes", i, len(lanes), v, n)
			}
			for _, l := range lanes {
				if l != lane {
					t.Fatalf("rank %d has lane %d, want %d", i, l, lane)
				}
				lane++
			}
		}
		if lane != v {
			t.Fatalf("%d lanes given away, want %d", lane, v)
		}
	})
}

// Whatever beats come, a roster that Next makes is higher than the one before,
// spreads all lanes, holds each node once and nobody who is lost, and its
// members are either of the roster before, in order, or come after them.
func TestEveryRosterIsWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := policy()
		p.MinNodes = rapid.IntRange(0, 3).Draw(t, "min")
		p.Lanes = rapid.IntRange(1, 9).Draw(t, "lanes")
		cur := Roster{}
		for range rapid.IntRange(1, 8).Draw(t, "rounds") {
			beats := drawBeats(t, cur)
			next, reason := Next(start, cur, beats, p)
			if next.Number == cur.Number {
				continue
			}
			checkRoster(t, cur, next, beats, p, reason)
			cur = next
		}
	})
}

func drawBeats(t *rapid.T, cur Roster) (beats []Beat) {
	flip := rapid.Bool()
	for _, n := range []string{"a", "b", "c", "d", "e"} {
		b := beat(n, 0, rapid.Uint64Range(0, 9).Draw(t, "step"))
		b.Ready, b.Gone, b.Failed = flip.Draw(t, "ready"), rapid.IntRange(0, 5).Draw(t, "gone") == 0, flip.Draw(t, "failed")
		b.Leaving, b.Finished = rapid.IntRange(0, 5).Draw(t, "leaving") == 0, rapid.IntRange(0, 9).Draw(t, "finished") == 0
		b.Seen = start.Add(-time.Duration(rapid.IntRange(0, 4000).Draw(t, "silent")) * time.Millisecond)
		b.FailedSince = start.Add(-time.Duration(rapid.IntRange(0, 4000).Draw(t, "failed for")) * time.Millisecond)
		b.ReadySince = start.Add(-time.Minute)
		if flip.Draw(t, "stands") {
			b.Roster = cur.Number
		}
		if flip.Draw(t, "blames") {
			b.Suspects = []job.NodeID{job.NodeID(rapid.SampledFrom([]string{"a-1", "b-1", "c-1"}).Draw(t, "whom"))}
		}
		beats = append(beats, b)
	}
	return beats
}

func checkRoster(t *rapid.T, cur, next Roster, beats []Beat, p Policy, reason string) {
	if !cur.Number.Less(next.Number) || next.Base != cur.Number || reason == "" || next.Reason != reason {
		t.Fatalf("roster %v on %v after %v: %q, %q", next.Number, next.Base, cur.Number, next.Reason, reason)
	}
	if len(next.Members) == 0 || len(next.Members) > p.Lanes {
		t.Fatalf("%d members for %d lanes", len(next.Members), p.Lanes)
	}
	rank, outside, lanes := -1, false, 0
	for _, m := range next.Members {
		lanes += len(m.Lanes)
		i := slices.IndexFunc(beats, func(b Beat) bool { return b.ID == m.ID })
		if b := beats[i]; b.Gone || start.Sub(b.Seen) > p.Silence {
			t.Fatalf("%s is in roster %v and lost", m.Name, next.Number)
		}
		switch r := cur.Rank(m.ID); {
		case r < 0:
			outside = true
		case outside || r <= rank:
			t.Fatalf("members %s do not keep the order of %s", names(next), names(cur))
		default:
			rank = r
		}
	}
	if lanes != p.Lanes {
		t.Fatalf("%d lanes, want %d", lanes, p.Lanes)
	}
	if next.Kind == Planned {
		for _, m := range cur.Members {
			i := slices.IndexFunc(beats, func(b Beat) bool { return b.ID == m.ID })
			if beats[i].Roster != cur.Number {
				t.Fatalf("%s does not stand in %v, the base of a planned roster", m.Name, cur.Number)
			}
		}
	}
}

func TestReleasedOnceEveryMemberHasBeaten(t *testing.T) {
	cur := standing(5, 9, "a", "c")
	if Released("b-1", cur, []Beat{beat("a", 5, 9), beat("c", 4, 9)}) {
		t.Error("released while c does not stand in the new roster (V6)")
	}
	if !Released("b-1", cur, []Beat{beat("a", 5, 9), beat("c", 5, 9)}) {
		t.Error("not released although all members stand in the new roster")
	}
	if Released("a-1", cur, []Beat{beat("a", 5, 9), beat("c", 5, 9)}) {
		t.Error("a member is released")
	}
}

func TestAdviceNamesTheNumberOfNodesThatIsEnough(t *testing.T) {
	if got, want := Advice(8, 5), "8 lanes on 5 nodes: no faster than 4"; got != want {
		t.Errorf("Advice(8, 5) = %q, want %q", got, want)
	}
	if got := Advice(8, 4); got != "" {
		t.Errorf("Advice(8, 4) = %q, want nothing", got)
	}
}

func TestChooseLanes(t *testing.T) {
	for _, tt := range []struct{ least, most int }{{1, 1}, {1, 2}, {1, 4}, {3, 4}, {1, 5}, {4, 8}, {5, 7}} {
		got := ChooseLanes(tt.least, tt.most)
		if got < tt.most || got > 2*tt.most {
			t.Errorf("%d to %d nodes: %d lanes", tt.least, tt.most, got)
		}
		mean := func(v int) (sum float64) {
			for n := tt.least; n <= tt.most; n++ {
				sum += Efficiency(v, n)
			}
			return sum
		}
		for v := tt.most; v <= 2*tt.most; v++ {
			if mean(v) > mean(got)+1e-9 {
				t.Errorf("%d to %d nodes: %d lanes, and %d wait less", tt.least, tt.most, got, v)
			}
		}
	}
	for _, tt := range []struct {
		v, n int
		want float64
	}{{8, 1, 1}, {8, 3, 8. / 9}, {8, 5, 0.8}, {5, 8, 0.625}} {
		if got := Efficiency(tt.v, tt.n); got != tt.want {
			t.Errorf("%d lanes on %d nodes: %g, want %g", tt.v, tt.n, got, tt.want)
		}
	}
}
