package coordinator

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"time"

	"carillon/job"
	"carillon/ledger"
	"carillon/roster"
	"carillon/wire"
)

// lost hears that a node's connection to this coordinator broke.
func (c *Coordinator) lost(id job.NodeID) {
	j := c.job()
	c.mu.Lock()
	if c.nodes[id] != nil || j != nil && j.Roster.Has(id) {
		c.gone[id] = true
	}
	c.mu.Unlock()
	c.poke()
}

// answer answers a beat, from memory and at once.
func (c *Coordinator) answer(b wire.Beat) wire.Answer {
	now, term, j := time.Now(), c.ledger.Term(), c.job()
	c.mu.Lock()
	defer c.mu.Unlock()
	var a wire.Answer
	if foreign := j != nil && b.Job != j.ID; foreign && !c.inCluster() {
		a.Refused = fmt.Sprintf("this cluster trains job %s, not %s", j.ID, b.Job)
		return a
	}
	b.Name = b.ID.Name() // that the id is the sender's was made sure of
	c.see(now, b)
	a.Revoked = c.ledger.State().Revoked
	l := c.lead
	if a.Leader = l != nil && l.term == term; !a.Leader {
		a.LeaderAddr = c.leaderAddr()
	}
	switch {
	case c.inCluster() && (j == nil || b.Job != j.ID):
		if a.Leader { // others may not know what was agreed on
			c.answerElse(j, b, &a)
		}
		return a
	case j == nil:
	case b.Roster.Less(j.Roster.Number) && len(j.Roster.Members) > 0:
		a.Roster = &j.Roster // heals a lost publication (V2)
	}
	if a.Leader && j != nil && l.job == j.ID {
		l.hear(now, j, b)
		c.instruct(now, j, b, &a)
	}
	c.poke()
	return a
}

// answerElse answers who is at no job, and who is at one that is not led any more.
// c.mu is held.
func (c *Coordinator) answerElse(j *ledger.Job, b wire.Beat, a *wire.Answer) {
	if b.Job == "" {
		a.Drain = c.draining[b.ID]
		if j != nil && j.End == nil {
			a.Job = infoOf(j)
		}
		return
	}
	switch old := c.ledger.State().Jobs[b.Job]; {
	case old == nil:
		a.Refused = fmt.Sprintf("this cluster knows no job %s", b.Job)
	case old.End == nil: // it begins again later, with other nodes
		a.Released, a.Stop = true, true
		if old.Complete != nil {
			a.SavedStep = old.Complete.Step
		}
	default:
		a.Released, a.SavedStep, a.Recorded, a.Generation = true, old.End.Step, math.MaxUint64, old.Generation
		if old.End.Error != "" {
			a.Refused = "the job has ended: " + old.End.Error
		}
	}
}

// leaderAddr is the hub of whoever leads, "" while nobody does.
func (c *Coordinator) leaderAddr() string {
	id := c.ledger.Leader()
	if id == "" || id == c.cfg.ID || id == c.me.ID { // this one is about to lead, or ceases to
		return ""
	}
	if p := c.peer(id); p.NATS != "" {
		return "nats://" + p.NATS
	}
	for _, v := range c.ledger.Voters() {
		if hub, err := wire.Beside(v.Addr, -1); v.ID == id && err == nil {
			return "nats://" + hub
		}
	}
	return ""
}

// see keeps a beat. c.mu is held.
func (c *Coordinator) see(now time.Time, b wire.Beat) {
	s := c.nodes[b.ID]
	if s == nil {
		s = &sighting{}
		c.nodes[b.ID] = s
	}
	if b.Ready && !s.beat.Ready {
		s.readySince = now
	}
	if b.AtRisk && !s.beat.AtRisk && c.lead != nil {
		c.lead.saveNow = true // before it goes, perhaps without another word
	}
	if b.Failed && !(s.beat.Failed && s.beat.Roster == b.Roster) {
		s.failedSince = now
	}
	s.beat, s.seen = b, now
	delete(c.gone, b.ID)
}

// memory is how long a node that is gone stays in the list of nodes.
const memory = 10 * time.Minute

// forget drops nodes that have been gone for long.
func (c *Coordinator) forget(now time.Time) {
	j := c.job()
	member := func(id job.NodeID) bool { return j != nil && j.Roster.Has(id) }
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, s := range c.nodes {
		if now.Sub(s.seen) > memory && !member(id) {
			delete(c.nodes, id)
			delete(c.draining, id)
		}
	}
	for id := range c.gone {
		if c.nodes[id] == nil && !member(id) {
			delete(c.gone, id)
		}
	}
}

// hear takes what a beat tells about the job.
func (l *leading) hear(now time.Time, j *ledger.Job, b wire.Beat) {
	if alarm := l.records.hear(b); alarm != "" && l.alarm == "" {
		l.alarm = alarm
	}
	if l.opened && l.plans.hear(now, b, j.Generation, l.saved) {
		l.nudge()
	}
}

// instruct fills in what the leader answers. c.mu is held.
func (c *Coordinator) instruct(now time.Time, j *ledger.Job, b wire.Beat, a *wire.Answer) {
	l := c.lead
	a.Recorded, a.SavedStep, a.Generation = l.records.written, l.saved, j.Generation
	a.Refused = c.refusal(j, b)
	if !b.Ready && j.Incarnation > 0 {
		a.Job = infoOf(j)
	}
	a.Stop = j.Stop != nil
	a.Released = j.End != nil || b.Leaving && roster.Released(b.ID, j.Roster, c.beats(j))
	a.WantStep, a.WantChunks = l.plans.wanted(now, b.ID, func(id job.NodeID) bool { return c.alive(now, id) })
	if b.Holding > 0 {
		a.HoldAfter, a.Hold = b.Holding, c.holds(j, b.Holding)
	}
	if j.Roster.Rank(b.ID) == 0 && (c.saveDue(now, j) || l.saveNow) {
		a.Save, l.asked, l.saveNow = true, now, false
	}
}

// saveDue says whether the recipe wants a save by the clock.
func (c *Coordinator) saveDue(now time.Time, j *ledger.Job) bool {
	s, err := c.spec.of(j)
	every := time.Duration(s.SaveMinutes * float64(time.Minute))
	return err == nil && every > 0 && now.Sub(c.lead.asked) >= every && j.Stop == nil
}

// refusal says why a node can never take part, or "".
func (c *Coordinator) refusal(j *ledger.Job, b wire.Beat) string {
	switch p := j.Probe; {
	case j.End != nil && j.End.Error != "":
		return "the job has ended: " + j.End.Error
	case b.Identity != "" && j.Info.Identity != "" && b.Identity != j.Info.Identity:
		return fmt.Sprintf("%s trains job identity %.16s, this job has %.16s; start it with the same recipe, base model and data", b.ID, b.Identity, j.Info.Identity)
	case p.Probe != "" && b.Probe != "" && b.Probe != p.Probe && !c.mixed(j):
		return fmt.Sprintf("the compute backends of two hosts give different bits: %s on %s (probe %.16s) and %s on %s (probe %.16s); train on one kind, or give up equal bits with mixed: true", p.Node, p.Host, p.Probe, b.ID, b.Host, b.Probe)
	}
	return ""
}

func (c *Coordinator) mixed(j *ledger.Job) bool {
	s, err := c.spec.of(j)
	return err == nil && s.Mixed
}

// holds says whether a drill's rank 0 should go on waiting after a step: whoever
// is to join there is neither a member nor, where all lanes have their node,
// ready as a spare. c.mu is held.
func (c *Coordinator) holds(j *ledger.Job, step uint64) bool {
	var names []string
	for _, d := range j.Info.Drills {
		if d.Kind == job.Join && d.Step == step {
			names = append(names, d.Target)
		}
	}
	ready := map[string]bool{}
	for _, s := range c.of(j) {
		if s.beat.JoinAfter == step && !slices.Contains(names, s.beat.Name) {
			names = append(names, s.beat.Name)
		}
		ready[s.beat.Name] = ready[s.beat.Name] || s.beat.Ready
	}
	s, err := c.spec.of(j)
	full := err == nil && len(j.Roster.Members) >= s.Lanes
	for _, name := range names {
		member := slices.ContainsFunc(j.Roster.Members, func(m roster.Member) bool { return m.Name == name })
		if !member && !(full && ready[name]) {
			return true
		}
	}
	return len(names) == 0
}

// alive says whether a node has beaten lately. c.mu is held.
func (c *Coordinator) alive(now time.Time, id job.NodeID) bool {
	s := c.nodes[id]
	return s != nil && !c.gone[id] && now.Sub(s.seen) <= c.cfg.Silence
}

// of are the sightings of a job's nodes. c.mu is held.
func (c *Coordinator) of(j *ledger.Job) iter.Seq2[job.NodeID, *sighting] {
	return func(yield func(job.NodeID, *sighting) bool) {
		for id, s := range c.nodes {
			if s.beat.Job == j.ID && !yield(id, s) {
				return
			}
		}
	}
}

// beats are they as roster.Next reads them. c.mu is held.
func (c *Coordinator) beats(j *ledger.Job) []roster.Beat {
	out := make([]roster.Beat, 0, len(c.nodes))
	for id, s := range c.of(j) {
		b := s.beat
		out = append(out, roster.Beat{
			ID: id, Name: b.Name, Addr: b.Addr, Roster: b.Roster, Step: b.Step,
			Failed: b.Failed, Ready: b.Ready, Leaving: b.Leaving, Finished: b.Finished,
			JoinAfter: b.JoinAfter, Suspects: b.Suspects, Probe: b.Probe,
			Seen: s.seen, ReadySince: s.readySince, FailedSince: s.failedSince, Gone: c.gone[id],
		})
	}
	return out
}

// infoOf is what a node must know of a job.
func infoOf(j *ledger.Job) *wire.JobInfo {
	i := j.Info
	return &wire.JobInfo{
		ID: j.ID, Spec: i.Spec, Identity: i.Identity, DataHash: i.DataHash, BaseHash: i.BaseHash, Steps: i.Steps,
		Store: i.Store, Model: i.Model, Incarnation: j.Incarnation, Generation: j.Generation, Drills: i.Drills,
	}
}
