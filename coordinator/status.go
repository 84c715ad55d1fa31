package coordinator

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"time"

	"carillon/checkpoint"
	"carillon/job"
	"carillon/ledger"
	"carillon/roster"
	"carillon/wire"
)

// The verbs that the leader answers. All may be asked twice.
const (
	VerbSubmit = "submit" // wire.JobInfo -> wire.JobInfo as agreed on
	VerbStatus = "status" // a job's id, as JSON, or nothing: the one that is led -> Status
	VerbStop   = "stop"   // StopRequest -> nothing
)

// agreePatience bounds the agreement on a request.
const agreePatience = 4 * time.Second

// The phases of a job.
const (
	PhaseIdle     = "idle"    // no job was submitted
	PhaseWaiting  = "waiting" // for nodes
	PhaseTraining = "training"
	PhaseStopping = "stopping" // the end was asked for
	PhaseEnded    = "ended"    // and all is saved
	PhaseFailed   = "failed"   // it cannot go on
)

// Status is what people want to know of a job.
type Status struct {
	Version    int              `json:"version"`
	Job        job.ID           `json:"job"`
	Phase      string           `json:"phase"`
	Step       uint64           `json:"step"`             // the highest that a node has done
	Steps      uint64           `json:"steps"`            // of the whole job
	Record     *wire.StepRecord `json:"record,omitempty"` // the newest
	Recorded   uint64           `json:"recorded"`         // metrics.jsonl ends with this step
	Roster     roster.Roster    `json:"roster"`
	Waiting    string           `json:"waiting,omitempty"` // what the next roster waits for
	Advice     string           `json:"advice,omitempty"`
	Rosters    []ledger.Change  `json:"rosters"` // the last ones, oldest first
	Members    []Member         `json:"members"` // all nodes, members and others
	Leader     Leader           `json:"leader"`
	Saved      uint64           `json:"saved_step"` // what HEAD names
	Generation uint64           `json:"generation"`
	Fired      []job.Drill      `json:"fired"` // drills on coordinators
	Errors     []string         `json:"errors"`
	End        *ledger.End      `json:"end,omitempty"`
}

// Member is a node in a Status.
type Member struct {
	ID     job.NodeID       `json:"id"`
	Name   string           `json:"name"`
	Host   string           `json:"host"`
	PID    int              `json:"pid"`
	State  string           `json:"state"` // one word
	Rank   int              `json:"rank"`  // -1: outside the roster
	Lanes  []int            `json:"lanes"`
	Roster job.RosterNumber `json:"roster"` // the one it stands in
	Step   uint64           `json:"step"`
	Silent float64          `json:"silent_seconds"`
	Error  string           `json:"error,omitempty"`
}

// Leader is who answered.
type Leader struct {
	ID    string  `json:"id"`
	PID   int     `json:"pid"`
	NATS  string  `json:"nats"`
	Term  uint64  `json:"term"`
	Since float64 `json:"since_seconds"`
}

// status answers VerbStatus.
func (c *Coordinator) status(payload []byte) ([]byte, error) {
	term, j := c.ledger.Term(), c.job()
	var id job.ID
	if err := json.Unmarshal(payload, &id); err != nil && len(payload) > 0 {
		return nil, fmt.Errorf("status: %w", err)
	}
	if id != "" && (j == nil || j.ID != id) {
		if j = c.jobOf(id); j == nil {
			return nil, noJob(id)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lead == nil || c.lead.term != term {
		return nil, &wire.NotLeader{Addr: c.leaderAddr()}
	}
	return json.Marshal(c.describe(time.Now(), j))
}

// leftOut says whether nodes had no time to keep a checkpoint since the last one was
// saved. c.mu is held.
func (c *Coordinator) leftOut(l *leading) bool {
	for _, n := range c.nodes {
		if n.beat.Job == l.job && n.beat.LeftOut > l.saved {
			return true
		}
	}
	return false
}

// describe makes a Status. c.mu is held.
func (c *Coordinator) describe(now time.Time, j *ledger.Job) Status {
	l := c.lead
	s := Status{
		Version: wire.Version, Phase: PhaseIdle,
		Leader: Leader{ID: c.cfg.ID, PID: os.Getpid(), NATS: c.hub.Addr(), Term: l.term, Since: now.Sub(l.since).Seconds()},
	}
	if j == nil || j.ID == l.job {
		s.Record, s.Recorded, s.Waiting, s.Saved = l.records.last, l.records.written, l.waiting, l.saved
	}
	if j != nil {
		s.Members = c.members(now, j)
		c.settled(j, &s)
	}
	for _, m := range s.Members {
		s.Step = max(s.Step, m.Step)
		if m.Error != "" {
			s.Errors = append(s.Errors, fmt.Sprintf("%s: %s", m.ID, m.Error))
		}
	}
	if j != nil && j.ID == l.job && c.leftOut(l) {
		s.Errors = append(s.Errors, "checkpoints are left out: the store is slower than the job saves; save_steps may be larger")
	}
	for _, t := range l.troubles {
		s.Errors = append(s.Errors, t)
	}
	slices.Sort(s.Errors)
	if j == nil {
		return s
	}
	s.Job, s.Phase, s.Steps, s.Generation = j.ID, phase(j), j.Info.Steps, j.Generation
	s.Roster, s.Rosters, s.Fired, s.End = j.Roster, j.History, j.Fired, j.End
	if spec, err := c.spec.of(j); err == nil {
		s.Advice = roster.Advice(spec.Lanes, len(j.Roster.Members))
	}
	return s
}

// settled fills in what the ledger knows of a job that is not led: one that has ended,
// or waits.
func (c *Coordinator) settled(j *ledger.Job, s *Status) {
	if j.ID == c.lead.job {
		return
	}
	if j.Complete != nil {
		s.Step, s.Saved = j.Complete.Step, j.Complete.Step
	}
	if cur := c.job(); j.End == nil && cur != nil && cur.ID != j.ID {
		s.Waiting = fmt.Sprintf("job %s is worked on", cur.ID)
	}
}

func noJob(id job.ID) error { return fmt.Errorf("there is no job %s; carillon jobs lists them", id) }

func phase(j *ledger.Job) string {
	switch {
	case j.End != nil && j.End.Error != "":
		return PhaseFailed
	case j.End != nil:
		return PhaseEnded
	case j.Stop != nil:
		return PhaseStopping
	case len(j.Roster.Members) > 0:
		return PhaseTraining
	}
	return PhaseWaiting
}

// members describes all nodes: the roster's in rank order, then the others.
// c.mu is held.
func (c *Coordinator) members(now time.Time, j *ledger.Job) []Member {
	var out []Member
	for _, id := range c.sorted(j) {
		s := c.nodes[id]
		m := Member{
			ID: id, Name: s.beat.Name, Host: s.beat.Host, PID: s.beat.PID, State: s.beat.State, Rank: -1,
			Roster: s.beat.Roster, Step: s.beat.Step, Silent: now.Sub(s.seen).Seconds(), Error: s.beat.Error,
		}
		if m.Rank = j.Roster.Rank(id); m.Rank >= 0 {
			m.Lanes = j.Roster.Members[m.Rank].Lanes
		}
		switch {
		case s.beat.Leaving && m.Rank < 0:
			m.State = "left"
		case !c.alive(now, id):
			m.State = "lost"
		}
		out = append(out, m)
	}
	slices.SortStableFunc(out, func(a, b Member) int { return cmp.Compare(uint(a.Rank), uint(b.Rank)) })
	return out
}

// plainID is what a job may be called: part of subjects, keys and paths.
var plainID = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// submit answers VerbSubmit: it makes a job known, or more of it.
func (c *Coordinator) submit(payload []byte) ([]byte, error) {
	var i wire.JobInfo
	if err := json.Unmarshal(payload, &i); err != nil {
		return nil, fmt.Errorf("submission: %w", err)
	}
	if !plainID.MatchString(string(i.ID)) {
		return nil, fmt.Errorf("job id %q: want up to 63 small letters, digits and -, not beginning with -", i.ID)
	}
	if c.inCluster() {
		i.Store = c.cfg.StoreAt
		if i.DataHash != "" && i.Model == "" {
			return nil, errors.New("the base model is not in the store: submit with carillon submit")
		}
	}
	if len(i.Spec) > 0 {
		if _, err := job.DecodeSpec(i.Spec); err != nil {
			return nil, err
		}
	}
	if len(i.Params) > 0 {
		var params []checkpoint.Param
		if err := json.Unmarshal(i.Params, &params); err != nil {
			return nil, fmt.Errorf("submission: params: %w", err)
		}
	}
	before := c.jobOf(i.ID)
	if cur := c.job(); cur != nil && cur.ID != i.ID && !c.inCluster() {
		return nil, fmt.Errorf("these coordinators keep job %s and its metrics in %s; start others for job %s", cur.ID, c.cfg.OutputDir, i.ID)
	}
	s := &ledger.Submit{Spec: i.Spec, Identity: i.Identity, DataHash: i.DataHash, BaseHash: i.BaseHash, Params: i.Params, Steps: i.Steps, Store: i.Store, Model: i.Model, Drills: i.Drills}
	if err := c.agree(ledger.Entry{Job: i.ID, Submit: s}); err != nil {
		return nil, err
	}
	c.renew(i.ID, before)
	return json.Marshal(infoOf(c.jobOf(i.ID)))
}

// renew forgets what was before the job: nodes that beat for nobody knew what, or
// those of a job that had ended and begins again.
func (c *Coordinator) renew(id job.ID, before *ledger.Job) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lead == nil {
		return
	}
	if before == nil || before.End != nil {
		maps.DeleteFunc(c.nodes, func(_ job.NodeID, s *sighting) bool { return s.beat.Job == id || !c.inCluster() })
		if c.lead.job == id {
			c.lead.alarm, c.lead.plans, c.lead.opened = "", plans{}, false
		}
	}
	c.lead.nudge()
}

// StopRequest asks for the end of a job.
type StopRequest struct {
	Job    job.ID `json:"job"` // "": the one that is led
	Reason string `json:"reason"`
}

// stop answers VerbStop: the job ends after the step under way, with a checkpoint; one
// that waits for its turn ends at once.
func (c *Coordinator) stop(payload []byte) ([]byte, error) {
	var r StopRequest
	if err := json.Unmarshal(payload, &r); err != nil {
		return nil, fmt.Errorf("stop: %w", err)
	}
	j := c.job()
	if r.Job != "" {
		if j = c.jobOf(r.Job); j == nil {
			return nil, noJob(r.Job)
		}
	}
	if j == nil || j.End != nil {
		return nil, nil
	}
	return nil, c.agree(ledger.Entry{Job: j.ID, Stop: &ledger.Stop{Reason: r.Reason}})
}
