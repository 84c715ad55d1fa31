package roster

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"carillon/job"
)

// Beat is what Next knows of a node: its last report, and how the one who
// collected the reports heard of it.
type Beat struct {
	ID        job.NodeID
	Name      string
	Addr      string
	Roster    job.RosterNumber // the one it stands in
	Step      uint64           // steps done
	Failed    bool             // a sum of Roster failed there
	Ready     bool             // it can train
	Leaving   bool
	Finished  bool         // the job's last step is done there
	JoinAfter uint64       // do not let it in before this step is done
	Suspects  []job.NodeID // with Failed: whom it blames
	Probe     string       // kind of its compute backend; "" before it is known

	Seen        time.Time // when the last beat came
	ReadySince  time.Time // when the first beat with Ready came
	FailedSince time.Time // when the first beat with Failed came on this Roster
	Gone        bool      // its connection has broken since
}

// Policy is what a job wants of its rosters.
type Policy struct {
	Incarnation uint32        // of the ledger
	Lanes       int           // of the job, at least 1
	Nodes       int           // how many begin together
	MinNodes    int           // how many may begin after Grace; 0: Nodes
	MaxNodes    int           // at most Lanes; 0: Lanes
	Probe       string        // the kind of backend of all members; "": any
	Silence     time.Duration // without a beat for longer, a node is lost
	Doubt       time.Duration // the same for a member that another one blames
	Grace       time.Duration // how long MinNodes wait for more
}

// patience is how many rosters in a row, without a step between them, keep a
// member that others blame and that still beats.
const patience = 2

// Next returns the roster to follow cur, and why. When nothing needs to change
// it returns cur itself, and what it waits for, if anything.
//
// The rules, in this order:
//
//  1. While no member of cur is there, Nodes ready nodes make a forced roster
//     (or MinNodes after Grace, once nobody is warming up; where a whole roster
//     was lost and there is no MinNodes, as many as are left).
//  2. If all members that are there have finished, no roster is needed.
//  3. A member that is lost (its connection broke, or it is silent; for less long
//     if another member blames it) is left out by a forced roster at once.
//  4. A failed sum with nobody lost gives a forced roster of the same members
//     (V1). Whoever is blamed must show first that it lives: the news that its
//     connection broke may be a moment behind the blame. A member that is
//     blamed in roster after roster, at one step, is left out although it beats.
//  5. Who is leaving, and ready nodes from outside, change the roster by a
//     planned one, once every member's beat shows cur (V7).
func Next(now time.Time, cur Roster, beats []Beat, p Policy) (next Roster, reason string) {
	v := survey(now, cur, beats, p)
	switch {
	case len(v.standing) == 0:
		return v.begin()
	case !slices.ContainsFunc(v.standing, func(b Beat) bool { return !b.Finished }):
		return cur, "every member that is there has finished"
	case len(v.lost) > 0:
		return v.forced(v.standing, strings.Join(v.lost, ", "))
	}
	if failed := v.failed(); len(failed) > 0 {
		return v.redo(failed)
	}
	return v.plan()
}

// view is what Next looks at, sorted out.
type view struct {
	now      time.Time
	cur      Roster
	policy   Policy
	beats    []Beat
	standing []Beat   // of the members of cur that are not lost, in rank order
	lost     []string // "n2 is lost (why)", one a lost member
	step     uint64   // the highest that anybody who is there has done
}

func survey(now time.Time, cur Roster, beats []Beat, p Policy) *view {
	v := &view{now: now, cur: cur, policy: p, beats: beats}
	for _, m := range cur.Members {
		i := slices.IndexFunc(beats, func(b Beat) bool { return b.ID == m.ID })
		why := "it never beat"
		if i >= 0 {
			why = cmp.Or(v.why(beats[i]), v.ill(beats[i]))
		}
		if why != "" {
			v.lost = append(v.lost, fmt.Sprintf("%s is lost (%s)", m.Name, why))
		} else {
			v.standing = append(v.standing, beats[i])
		}
	}
	for _, b := range beats {
		if v.why(b) == "" {
			v.step = max(v.step, b.Step)
		}
	}
	return v
}

// why says why the sender of b is lost, or "".
func (v *view) why(b Beat) string {
	switch silent := v.now.Sub(b.Seen); {
	case b.Gone:
		return "its connection broke"
	case silent > v.policy.Silence:
		return fmt.Sprintf("last seen %.1f s ago", silent.Seconds())
	}
	return ""
}

// ill says why a member that others blame is lost before its time is up, or "".
func (v *view) ill(b Beat) string {
	silent := v.now.Sub(b.Seen)
	for _, f := range v.beats {
		if f.ID != b.ID && f.Failed && v.cur.Has(f.ID) && slices.Contains(f.Suspects, b.ID) && silent > v.policy.Doubt {
			return fmt.Sprintf("%s blames it, last seen %.1f s ago", f.Name, silent.Seconds())
		}
	}
	return ""
}

// limit is the most members that a roster may have. Nodes beyond it are spares.
func (v *view) limit() int {
	if m := v.policy.MaxNodes; m > 0 {
		return min(m, v.policy.Lanes)
	}
	return v.policy.Lanes
}

// candidates are the nodes outside cur that may come in now, by name.
func (v *view) candidates() []Beat {
	var out []Beat
	for _, b := range v.beats {
		fits := v.policy.Probe == "" || b.Probe == v.policy.Probe
		if fits && b.Ready && !b.Leaving && !b.Finished && b.JoinAfter <= v.step && v.why(b) == "" && !v.cur.Has(b.ID) {
			out = append(out, b)
		}
	}
	slices.SortFunc(out, func(a, b Beat) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
	return out
}

// begin makes a roster where there is none, or none of whose members is left.
func (v *view) begin() (Roster, string) {
	ready := v.candidates()
	least, want := v.policy.MinNodes, min(max(1, v.policy.Nodes), v.limit())
	if least == 0 {
		least = want
		if len(v.cur.Members) > 0 {
			least = 1 // those who were lost may never come back
		}
	}
	switch {
	case len(ready) >= want:
	case len(ready) < least || v.warming() || v.now.Sub(latest(ready)) < v.policy.Grace:
		return v.cur, fmt.Sprintf("%d of %d nodes are ready", len(ready), want)
	}
	why := fmt.Sprintf("%d of %d nodes are ready", len(ready), want)
	if len(v.lost) > 0 {
		why += ", " + strings.Join(v.lost, ", ")
	}
	return v.forced(ready[:min(len(ready), v.limit())], why)
}

// warming says whether somebody who belongs to the beginning is not ready yet.
func (v *view) warming() bool {
	return slices.ContainsFunc(v.beats, func(b Beat) bool {
		return !b.Ready && !b.Leaving && b.JoinAfter <= v.step && v.why(b) == ""
	})
}

// latest is when the last of the nodes became ready.
func latest(beats []Beat) (t time.Time) {
	for _, b := range beats {
		if b.ReadySince.After(t) {
			t = b.ReadySince
		}
	}
	return t
}

// failed are the members whose sum on cur failed.
func (v *view) failed() []Beat {
	var out []Beat
	for _, b := range v.standing {
		if b.Failed && b.Roster == v.cur.Number {
			out = append(out, b)
		}
	}
	return out
}

// redo lets the same members try again, or all but one that is blamed too often.
func (v *view) redo(failed []Beat) (Roster, string) {
	blame := map[job.NodeID]int{}
	for _, f := range failed {
		for _, id := range f.Suspects {
			i := slices.IndexFunc(v.standing, func(b Beat) bool { return b.ID == id })
			if i < 0 || id == f.ID {
				continue
			}
			if !v.standing[i].Seen.After(f.FailedSince) {
				return v.cur, fmt.Sprintf("a sum failed on %s: waiting for a sign of life of %s", f.Name, v.standing[i].Name)
			}
			blame[id]++
		}
	}
	if most, ok := mostBlamed(v.standing, blame); ok && v.cur.Repeats >= patience && v.step == v.cur.Step {
		rest := slices.DeleteFunc(slices.Clone(v.standing), func(b Beat) bool { return b.ID == most.ID })
		return v.forced(rest, fmt.Sprintf("%s is blamed for %d failed sums in a row", most.Name, v.cur.Repeats+1))
	}
	return v.forced(v.standing, fmt.Sprintf("a sum failed on %s and nobody is lost", failed[0].Name))
}

// mostBlamed is the member that most others blame; of several the last in rank.
func mostBlamed(members []Beat, blame map[job.NodeID]int) (most Beat, ok bool) {
	for _, b := range members {
		if n := blame[b.ID]; n > 0 && n >= blame[most.ID] {
			most, ok = b, true
		}
	}
	return most, ok && len(members) > 1
}

// plan lets nodes join and leave at a boundary between two steps.
func (v *view) plan() (Roster, string) {
	for _, b := range v.standing {
		if b.Finished {
			return v.cur, "the job is about to end"
		}
		if b.Roster != v.cur.Number {
			return v.cur, fmt.Sprintf("%s does not stand in roster %v yet", b.Name, v.cur.Number)
		}
	}
	var members []Beat
	var why []string
	for _, b := range v.standing {
		if b.Leaving {
			why = append(why, b.Name+" leaves")
		} else {
			members = append(members, b)
		}
	}
	for _, b := range v.candidates() {
		// Who may be dead already is not let in: least of all a member that was
		// left out a moment ago because another one blamed it.
		if heard := v.now.Sub(b.Seen) <= v.policy.Doubt; heard && len(members) < v.limit() {
			members, why = append(members, b), append(why, b.Name+" joins")
		}
	}
	if len(why) == 0 || len(members) == 0 {
		return v.cur, "" // if all want to leave, the job is stopped instead
	}
	r := v.follow(members, strings.Join(why, ", "))
	r.Kind = Planned
	return r, r.Reason
}

func (v *view) forced(members []Beat, why string) (Roster, string) {
	r := v.follow(members, why)
	r.Kind = Forced
	return r, r.Reason
}

// follow makes the next roster of members, in this order.
func (v *view) follow(members []Beat, why string) Roster {
	r := Roster{
		Number: job.RosterNumber{Incarnation: v.policy.Incarnation, Count: v.cur.Number.Count + 1},
		Base:   v.cur.Number,
		Reason: fmt.Sprintf("%d -> %d nodes: %s", len(v.cur.Members), len(members), why),
		Step:   v.step,
	}
	lanes := Lanes(v.policy.Lanes, len(members))
	for i, b := range members {
		r.Members = append(r.Members, Member{ID: b.ID, Name: b.Name, Addr: b.Addr, Lanes: lanes[i]})
	}
	same := func(a, b Member) bool { return a.ID == b.ID }
	if r.Step == v.cur.Step && slices.EqualFunc(r.Members, v.cur.Members, same) {
		r.Repeats = v.cur.Repeats + 1
	}
	return r
}

// Released says whether a node that left, or never came in, may exit: every
// member of cur has beaten from it, so nobody will ask the leaver for a hello, a
// sum or a state any more (V6).
func Released(id job.NodeID, cur Roster, beats []Beat) bool {
	if cur.Has(id) {
		return false
	}
	for _, m := range cur.Members {
		if !slices.ContainsFunc(beats, func(b Beat) bool { return b.ID == m.ID && b.Roster == cur.Number }) {
			return false
		}
	}
	return true
}

// Advice says when more nodes than needed share v lanes, or "".
func Advice(v, n int) string {
	if n < 1 || v < 1 {
		return ""
	}
	turns := (v + n - 1) / n // of the node with the most lanes
	if enough := (v + turns - 1) / turns; enough < n {
		return fmt.Sprintf("%d lanes on %d nodes: no faster than %d", v, n, enough)
	}
	return ""
}
