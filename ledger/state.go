package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"carillon/checkpoint"
	"carillon/job"
	"carillon/roster"
)

// ErrVoid is in the chain of what Apply and Propose return when an entry does
// not fit the state: it has changed nothing, and never will.
var ErrVoid = errors.New("the entry is void")

// State is all that was agreed on.
type State struct {
	Version int             `json:"version"`
	Jobs    map[job.ID]*Job `json:"jobs"`
	Order   []job.ID        `json:"order"` // of their submissions

	Tokens  map[string]Redeemed `json:"tokens,omitempty"`
	Revoked []string            `json:"revoked,omitempty"` // as role/name
}

// Job is what was agreed on about a job. It is never changed once it is part of
// a State: Apply puts another in its place.
type Job struct {
	ID          job.ID        `json:"id"`
	Info        Submit        `json:"info"`
	Submitted   time.Time     `json:"submitted"`
	Incarnation uint32        `json:"incarnation"` // 0 before the store is claimed
	Generation  uint64        `json:"generation"`
	Probe       Probe         `json:"probe"`
	Roster      roster.Roster `json:"roster"`
	History     []Change      `json:"history"`  // the last rosters, oldest first
	Complete    *Checkpoint   `json:"complete"` // the newest whole one of this generation
	Restored    *Restore      `json:"restored"` // the last restore
	Removed     []string      `json:"removed"`

	// Verdict is the zero one unless the best state counts.
	Verdict checkpoint.Verdict `json:"verdict,omitzero"`

	Fired []job.Drill `json:"fired"`
	Stop  *Stop       `json:"stop"`
	End   *End        `json:"end"`
}

// Change is a roster that was, in short.
type Change struct {
	Number job.RosterNumber `json:"number"`
	Kind   roster.Kind      `json:"kind"`
	Nodes  int              `json:"nodes"`
	Step   uint64           `json:"step"`
	Reason string           `json:"reason"`
	Time   time.Time        `json:"time"`
}

// keptChanges bounds Job.History.
const keptChanges = 64

// Apply is the whole state machine. It reads no clock and no randomness: the
// same entries in the same order give the same State on every coordinator. It
// never changes what a copy of s taken before refers to, so a copy of the
// struct is a snapshot.
func (s *State) Apply(e Entry) error {
	if e.Version != Version {
		return fmt.Errorf("entry of version %d, want %d: %w", e.Version, Version, ErrVoid)
	}
	if is, err := s.applyCluster(e); is {
		s.Version = Version
		return err
	}
	old, known := s.Jobs[e.Job]
	next := Job{ID: e.Job, Submitted: e.Time}
	if known {
		next = *old
	}
	switch {
	case e.Job == "":
		return fmt.Errorf("entry without a job: %w", ErrVoid)
	case !known && e.Submit == nil:
		return fmt.Errorf("job %s was never submitted: %w", e.Job, ErrVoid)
	}
	if cur := s.Current(); e.Stop != nil && known && cur.ID != e.Job { // it waits for its turn: nothing is lost
		e.Stop, e.End = nil, &End{Error: e.Stop.Reason}
	}
	if err := next.apply(e); err != nil {
		return fmt.Errorf("job %s: %w", e.Job, err)
	}
	s.Version = Version
	s.Jobs = maps.Clone(s.Jobs)
	if s.Jobs == nil {
		s.Jobs = map[job.ID]*Job{}
	}
	s.Jobs[e.Job] = &next
	if e.Submit != nil {
		s.enqueue(&next, old)
	}
	return nil
}

// apply changes a copy of the job that nobody else sees yet. Slices are shared
// with older copies: they are replaced, or grow beyond their length only.
func (j *Job) apply(e Entry) error {
	switch {
	case e.Submit != nil:
		return j.submit(*e.Submit)
	case j.End != nil && e.Remove == nil: // the last checkpoint leaves an old one over, too
		return fmt.Errorf("it has ended: %w", ErrVoid)
	case e.Claim != nil:
		return j.claim(*e.Claim)
	case e.Probe != nil:
		if j.Probe.Probe != "" {
			return fmt.Errorf("its probe is known, from %s: %w", j.Probe.Node, ErrVoid)
		}
		j.Probe = *e.Probe
	case e.Roster != nil:
		return j.enroll(*e.Roster, e.Time)
	case e.Judge != nil:
		return j.judge(*e.Judge)
	case e.Complete != nil:
		return j.complete(*e.Complete)
	case e.Restore != nil:
		return j.restore(*e.Restore)
	case e.Remove != nil:
		return j.remove(e.Remove.Names)
	case e.Drill != nil:
		if slices.Contains(j.Fired, *e.Drill) {
			return fmt.Errorf("drill %v has fired: %w", *e.Drill, ErrVoid)
		}
		j.Fired = append(slices.Clip(j.Fired), *e.Drill)
	case e.Stop != nil:
		j.Stop = e.Stop
	case e.Vacate != nil:
		j.Stop, j.Roster.Members = nil, nil
	case e.End != nil:
		j.End = e.End
	default:
		return fmt.Errorf("an entry that says nothing: %w", ErrVoid)
	}
	return nil
}

// submit adds what is new. A job cannot become another one; its spec may change
// in what is not part of its identity.
func (j *Job) submit(s Submit) error {
	old := j.Info
	switch {
	case changes(old.Identity, s.Identity), changes(old.DataHash, s.DataHash), changes(old.BaseHash, s.BaseHash):
		return fmt.Errorf("it was submitted with another identity: %w", ErrVoid)
	case old.Steps > 0 && s.Steps > 0 && old.Steps != s.Steps:
		return fmt.Errorf("it has %d steps, not %d: %w", old.Steps, s.Steps, ErrVoid)
	}
	if len(s.Spec) > 0 {
		j.Info.Spec = s.Spec
	}
	fill := func(to *string, from string) {
		if from != "" {
			*to = from
		}
	}
	fill(&j.Info.Identity, s.Identity)
	fill(&j.Info.DataHash, s.DataHash)
	fill(&j.Info.BaseHash, s.BaseHash)
	fill(&j.Info.Store, s.Store)
	fill(&j.Info.Model, s.Model)
	j.Info.Steps = max(j.Info.Steps, s.Steps)
	if len(s.Params) > 0 {
		j.Info.Params = s.Params
	}
	if len(s.Drills) > 0 {
		j.Info.Drills = s.Drills
	}
	if j.End != nil { // reopened, with nodes that are to come
		j.End, j.Stop, j.Fired, j.Roster.Members = nil, nil, nil, nil
	}
	return nil
}

func changes(old, with string) bool { return old != "" && with != "" && old != with }

func (j *Job) claim(c Claim) error {
	if j.Incarnation != 0 || c.Incarnation == 0 {
		return fmt.Errorf("claim incarnation %d: the ledger has incarnation %d: %w", c.Incarnation, j.Incarnation, ErrVoid)
	}
	j.Incarnation, j.Generation = c.Incarnation, c.Generation
	if c.Verdict != nil {
		j.Verdict = *c.Verdict
	}
	return nil
}

// judge takes an evaluation. A job that goes on from a checkpoint makes some again.
func (j *Job) judge(e Eval) error {
	if e.Step <= j.Verdict.Step {
		return fmt.Errorf("evaluation of step %d, that of step %d has counted: %w", e.Step, j.Verdict.Step, ErrVoid)
	}
	j.Verdict = j.Verdict.After(checkpoint.Eval(e))
	return nil
}

// enroll makes r the roster. It must have been decided on the roster that is.
func (j *Job) enroll(r roster.Roster, at time.Time) error {
	want := job.RosterNumber{Incarnation: j.Incarnation, Count: j.Roster.Number.Count + 1}
	switch {
	case j.Incarnation == 0:
		return fmt.Errorf("roster %v: the store is not claimed yet: %w", r.Number, ErrVoid)
	case r.Number != want || r.Base != j.Roster.Number:
		return fmt.Errorf("roster %v on base %v, the next is %v on %v: %w", r.Number, r.Base, want, j.Roster.Number, ErrVoid)
	case len(r.Members) == 0:
		return fmt.Errorf("roster %v has no members: %w", r.Number, ErrVoid)
	}
	j.Roster = r
	from := max(0, len(j.History)+1-keptChanges)
	j.History = append(slices.Clone(j.History[from:]), Change{r.Number, r.Kind, len(r.Members), r.Step, r.Reason, at})
	return nil
}

// complete notes a whole checkpoint. An older one, or one of another
// generation, is void: HEAD would go back by it.
func (j *Job) complete(c Checkpoint) error {
	switch {
	case c.Generation != j.Generation:
		return fmt.Errorf("checkpoint of generation %d, the job is at %d: %w", c.Generation, j.Generation, ErrVoid)
	case j.Complete != nil && c.Step <= j.Complete.Step, j.Restored != nil && c.Step <= j.Restored.Step:
		return fmt.Errorf("checkpoint of step %d, a newer one is whole: %w", c.Step, ErrVoid)
	case slices.Contains(j.Removed, c.Name):
		return fmt.Errorf("checkpoint %s was removed: %w", c.Name, ErrVoid)
	}
	if v := &j.Verdict; v.Step > 0 {
		if v.Best.Step == c.Step {
			v.Name = c.Name
		}
		now := *v
		c.Verdict = &now
	}
	j.Complete = &c
	return nil
}

func (j *Job) restore(r Restore) error {
	if r.Generation != j.Generation+1 {
		return fmt.Errorf("restore as generation %d, the next is %d: %w", r.Generation, j.Generation+1, ErrVoid)
	}
	if slices.Contains(j.Removed, r.Name) {
		return fmt.Errorf("restore %s, which was removed: %w", r.Name, ErrVoid)
	}
	j.Generation, j.Restored, j.Complete, j.Verdict = r.Generation, &r, nil, checkpoint.Verdict{}
	if r.Verdict != nil {
		j.Verdict = *r.Verdict
	}
	return nil
}

// remove notes names, unless one is of what HEAD names or may come to name.
func (j *Job) remove(names []string) error {
	for _, n := range names {
		if j.Complete == nil || n == j.Complete.Name {
			return fmt.Errorf("remove checkpoint %s: it is not below the newest whole one: %w", n, ErrVoid)
		}
		if n == j.Verdict.Name {
			return fmt.Errorf("remove checkpoint %s: it has the best state: %w", n, ErrVoid)
		}
	}
	removed := slices.Concat(j.Removed, names)
	slices.Sort(removed)
	j.Removed = slices.Compact(removed)
	return nil
}

// encode makes a snapshot.
func (s *State) encode() ([]byte, error) { return json.Marshal(s) }

// decodeState is the inverse of encode.
func decodeState(data []byte) (State, error) {
	var s State
	if err := json.Unmarshal(data, &s); err != nil {
		return State{}, fmt.Errorf("ledger snapshot: %w", err)
	}
	if s.Version != Version {
		return State{}, fmt.Errorf("ledger snapshot has version %d, this program reads %d", s.Version, Version)
	}
	return s, nil
}
