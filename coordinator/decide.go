package coordinator

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"carillon/job"
	"carillon/ledger"
	"carillon/roster"
	"carillon/wire"
)

// decide looks at all that the leader knows and proposes what follows from it.
func (c *Coordinator) decide(ctx context.Context, j *ledger.Job) {
	c.record(j)
	if j.End != nil {
		return
	}
	l := c.leading()
	c.mu.Lock()
	now := time.Now()
	beats := slices.DeleteFunc(c.beats(j), func(b roster.Beat) bool { return c.refusal(j, c.nodes[b.ID].beat) != "" })
	e := c.entry(j)
	c.mu.Unlock()
	if e == nil && j.Incarnation > 0 {
		e = c.nextRoster(now, j, l, beats)
	}
	if e == nil {
		return
	}
	ok := c.propose(ctx, j.ID, *e)
	if ok && (e.Judge != nil || e.Stop != nil) {
		l.nudge() // a checkpoint may have waited for it
	}
	if ok && e.Vacate != nil {
		c.mu.Lock()
		maps.DeleteFunc(c.nodes, func(_ job.NodeID, s *sighting) bool { return s.beat.Job == j.ID && s.beat.Leaving })
		c.mu.Unlock()
	}
	if ok && e.Drill != nil {
		c.log.Info("drill", "drill", e.Drill.String())
		c.cfg.Kill()
	}
}

// entry is the first thing to agree on before any roster, or nil. c.mu is held.
func (c *Coordinator) entry(j *ledger.Job) *ledger.Entry {
	if e := c.end(j); e != nil {
		if c.inCluster() && e.Error == "" && e.Step < j.Info.Steps && j.Stop != nil && j.Stop.Reason == everybodyLeaves {
			return &ledger.Entry{Vacate: &ledger.Vacate{}}
		}
		return &ledger.Entry{End: e}
	}
	if p := c.probe(j); p != nil {
		return &ledger.Entry{Probe: p}
	}
	if d := c.drill(j); d != nil {
		return &ledger.Entry{Drill: d}
	}
	if e := c.best(j); e != nil {
		return e
	}
	if c.allLeave(j) {
		return &ledger.Entry{Stop: &ledger.Stop{Reason: everybodyLeaves}}
	}
	return nil
}

// everybodyLeaves is why a job is saved that nobody is left for. In a cluster it goes on
// with who comes.
const everybodyLeaves = "every node is leaving"

// nextRoster asks the rule, and makes its answer an entry. What it waits for is
// shown in the status.
func (c *Coordinator) nextRoster(now time.Time, j *ledger.Job, l *leading, beats []roster.Beat) *ledger.Entry {
	s, err := c.spec.of(j)
	if err != nil {
		return nil // only the job's name is known yet
	}
	next, reason := roster.Next(now, j.Roster, beats, c.policy(j, s))
	c.mu.Lock()
	l.waiting = reason
	c.mu.Unlock()
	if next.Number == j.Roster.Number {
		return nil
	}
	c.log.Info("roster", job.KeyRoster, next.Number.String(), "kind", next.Kind, "reason", reason)
	return &ledger.Entry{Roster: &next}
}

// record writes the records that are due.
func (c *Coordinator) record(j *ledger.Job) {
	l := c.leading()
	if l.journal == nil && !c.openJournal(l, j.ID) {
		return
	}
	c.mu.Lock()
	due := l.records.next(time.Now())
	c.mu.Unlock()
	if len(due) == 0 {
		return
	}
	written, err := l.journal.append(due)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trouble(l, "metrics", err)
	l.records.wrote(written)
}

// flush writes what is left of the job before.
func (c *Coordinator) flush(l *leading) {
	c.mu.Lock()
	rest := l.records.rest()
	c.mu.Unlock()
	if l.journal == nil || len(rest) == 0 {
		return
	}
	if _, err := l.journal.append(rest); err != nil {
		c.log.Error("metrics", "error", err)
	}
}

func (c *Coordinator) openJournal(l *leading, id job.ID) bool {
	journal, err := openJournal(c.metricsFile(id))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trouble(l, "metrics", err)
	if err != nil {
		return false
	}
	l.journal = journal
	l.records.wrote(journal.step)
	return true
}

// metricsFile is where the steps of a job are recorded.
func (c *Coordinator) metricsFile(id job.ID) string {
	if c.inCluster() {
		return filepath.Join(c.cfg.OutputDir, string(id), "metrics.jsonl")
	}
	return filepath.Join(c.cfg.OutputDir, "metrics.jsonl")
}

// trouble notes what goes wrong, or that it does not any more. It is tried
// again, and logged once. c.mu is held.
func (c *Coordinator) trouble(l *leading, about string, err error) {
	if err == nil {
		delete(l.troubles, about)
		return
	}
	if _, known := l.troubles[about]; known {
		return // the same again, but for the name of a temporary file
	}
	c.log.Error(about, "error", err)
	l.troubles[about] = fmt.Sprintf("%s: %v", about, err)
}

// end says that the job is over, or nil. c.mu is held.
func (c *Coordinator) end(j *ledger.Job) *ledger.End {
	l := c.lead
	if l.alarm != "" {
		return &ledger.End{Error: l.alarm}
	}
	if why := c.broken(j); why != "" {
		return &ledger.End{Error: why}
	}
	switch {
	case !l.opened:
		return nil
	case j.Info.Steps > 0 && l.saved >= j.Info.Steps:
		return &ledger.End{Step: l.saved}
	case j.Stop != nil && c.allDone(j):
		return &ledger.End{Step: l.saved}
	}
	return nil
}

// hopeless is how often the nodes of a cluster may fail before there is a roster.
const hopeless = 3

// broken says why the job cannot go on, by what its nodes say, or "". A member speaks for
// all: each does the same. Before there are members one is enough on one machine; in a
// cluster it may be that machine's fault, so it takes several failures, and no machine
// that has not failed. A job that was saved waits for other machines. c.mu is held.
func (c *Coordinator) broken(j *ledger.Job) string {
	failures, failed, last := 0, map[string]bool{}, ""
	for _, id := range c.sorted(j) {
		s := c.nodes[id]
		switch {
		case s.beat.Error == "":
		case j.Roster.Has(id):
			return fmt.Sprintf("%s: %s", id, s.beat.Error)
		case len(j.Roster.Members) == 0 && s.seen.After(c.lead.turned):
			failures++
			failed[machineOf(s.beat.Name)] = true
			last = fmt.Sprintf("%s: %s", id, s.beat.Error)
		}
	}
	if c.inCluster() && (failures < hopeless || j.Complete != nil || c.wellBeside(failed, j)) {
		return ""
	}
	return last
}

// wellBeside says whether a machine is there that has not failed. c.mu is held.
func (c *Coordinator) wellBeside(failed map[string]bool, j *ledger.Job) bool {
	now := time.Now()
	for id, s := range c.nodes {
		here := (s.beat.Job == "" || s.beat.Job == j.ID) && s.beat.Error == "" && !s.beat.Leaving && c.alive(now, id)
		if here && (s.beat.Ready || !failed[machineOf(s.beat.Name)]) {
			return true
		}
	}
	return false
}

// machineOf is the machine of a node's name.
func machineOf(name string) string {
	machine, _, _ := strings.Cut(name, wire.DeviceMark)
	return machine
}

// allDone says of a job that was asked to stop whether nothing more will come:
// every member's last state is saved, or nobody is left. c.mu is held.
func (c *Coordinator) allDone(j *ledger.Job) bool {
	if j.Complete != nil && j.Complete.Step > c.lead.saved {
		return false // whole, and HEAD does not name it yet
	}
	now, finished := time.Now(), len(j.Roster.Members) > 0
	for _, m := range j.Roster.Members {
		s := c.nodes[m.ID]
		finished = finished && s != nil && s.beat.Finished && s.beat.Step <= c.lead.saved
	}
	return finished || !slices.ContainsFunc(c.sorted(j), func(id job.NodeID) bool { return c.alive(now, id) })
}

// probe fixes the kind of backend, by the first that was measured. c.mu is held.
func (c *Coordinator) probe(j *ledger.Job) *ledger.Probe {
	if j.Probe.Probe != "" {
		return nil
	}
	for _, id := range c.sorted(j) {
		if b := c.nodes[id].beat; b.Probe != "" {
			return &ledger.Probe{Probe: b.Probe, Node: id, Host: b.Host}
		}
	}
	return nil
}

// drill is the one that is due on the leader, or nil: the step before is done, so
// that it dies in the middle of the drill's step. c.mu is held.
func (c *Coordinator) drill(j *ledger.Job) *job.Drill {
	step := uint64(0)
	for _, s := range c.of(j) {
		step = max(step, s.beat.Step)
	}
	for _, d := range j.Info.Drills {
		if d.Kind == job.Kill && d.Target == job.Coordinator && d.Step <= step+1 && step > 0 && !slices.Contains(j.Fired, d) {
			return &d
		}
	}
	return nil
}

// allLeave says whether nobody would be left of the roster. c.mu is held.
func (c *Coordinator) allLeave(j *ledger.Job) bool {
	if j.Stop != nil || len(j.Roster.Members) == 0 {
		return false
	}
	return !slices.ContainsFunc(j.Roster.Members, func(m roster.Member) bool {
		s := c.nodes[m.ID]
		return s == nil || !s.beat.Leaving || s.beat.Finished
	})
}

// sorted are the ids of a job's nodes, in order. c.mu is held.
func (c *Coordinator) sorted(j *ledger.Job) []job.NodeID {
	ids := make([]job.NodeID, 0, len(c.nodes))
	for id := range c.of(j) {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}
