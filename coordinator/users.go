package coordinator

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"carillon/job"
	"carillon/ledger"
	"carillon/wire"
)

// The verbs of a cluster. All but VerbMetrics are the leader's.
const (
	VerbJobs     = "jobs"     // -> []JobLine
	VerbMachines = "machines" // -> []Machine
	VerbDrain    = "drain"    // a machine's name -> nothing
	VerbCluster  = "cluster"  // -> Cluster
	VerbRemove   = "remove"   // a coordinator's name or id -> nothing
	VerbRevoke   = "revoke"   // role/name -> nothing
	VerbMetrics  = "metrics"  // MetricsRequest -> lines, of what this coordinator wrote while it led
)

// JobLine is a job in a list.
type JobLine struct {
	ID        job.ID    `json:"id"`
	Phase     string    `json:"phase"`
	Submitted time.Time `json:"submitted"`
	Saved     uint64    `json:"saved_step"`
	Steps     uint64    `json:"steps"`
	Nodes     int       `json:"nodes"`
	Error     string    `json:"error,omitempty"`
}

// PhaseQueued is that of a job that waits for others to end.
const PhaseQueued = "queued"

// leaderOnly makes an answer of the leader's.
func (c *Coordinator) leaderOnly(answer func() any) ([]byte, error) {
	term := c.ledger.Term()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lead == nil || c.lead.term != term {
		return nil, &wire.NotLeader{Addr: c.leaderAddr()}
	}
	return json.Marshal(answer())
}

// jobs answers VerbJobs, in the order of their turns.
func (c *Coordinator) jobs([]byte) ([]byte, error) {
	return c.leaderOnly(func() any {
		s, out := c.ledger.State(), []JobLine{}
		cur := s.Current()
		for _, id := range s.Order {
			j := s.Jobs[id]
			l := JobLine{ID: id, Phase: phase(j), Submitted: j.Submitted, Steps: j.Info.Steps, Nodes: len(j.Roster.Members)}
			if j.Complete != nil {
				l.Saved = j.Complete.Step
			}
			if j.End != nil {
				l.Nodes, l.Error = 0, j.End.Error
			} else if id != cur.ID {
				l.Phase = PhaseQueued
			}
			out = append(out, l)
		}
		return out
	})
}

// Machine is one that offers its devices to the cluster.
type Machine struct {
	Name    string   `json:"name"`
	Host    string   `json:"host"`
	State   string   `json:"state"`
	Devices []string `json:"devices"`
	Silent  float64  `json:"silent_seconds"`
	Nodes   []Member `json:"nodes"` // of the job that is led, on this machine
}

// machines answers VerbMachines.
func (c *Coordinator) machines([]byte) ([]byte, error) {
	return c.leaderOnly(func() any {
		now, out := time.Now(), []Machine{}
		var members []Member
		if j := c.job(); j != nil {
			members = c.members(now, j)
		}
		for id, s := range c.nodes {
			if s.beat.Job != "" {
				continue
			}
			m := Machine{Name: s.beat.Name, Host: s.beat.Host, State: c.stateOf(now, id, s), Devices: s.beat.Devices, Silent: now.Sub(s.seen).Seconds()}
			for _, n := range members {
				if n.Host == m.Host && (n.Name == m.Name || strings.HasPrefix(n.Name, m.Name+wire.DeviceMark)) {
					m.Nodes = append(m.Nodes, n)
				}
			}
			out = append(out, m)
		}
		slices.SortFunc(out, func(a, b Machine) int { return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Silent, b.Silent)) })
		return out
	})
}

// The states of machines, beside what they say themselves.
const (
	StateLeft     = "left"
	StateLost     = "lost"
	StateDraining = "draining"
)

func (c *Coordinator) stateOf(now time.Time, id job.NodeID, s *sighting) string {
	switch {
	case s.beat.Leaving && !c.alive(now, id):
		return StateLeft
	case !c.alive(now, id):
		return StateLost
	case c.draining[id]:
		return StateDraining
	}
	return s.beat.State
}

// drain answers VerbDrain: the machine's next beat is answered with it.
func (c *Coordinator) drain(payload []byte) ([]byte, error) {
	name := string(payload)
	var known []string
	_, err := c.leaderOnly(func() any {
		for id, s := range c.nodes {
			if s.beat.Job == "" && c.alive(time.Now(), id) {
				known = append(known, s.beat.Name)
				c.draining[id] = c.draining[id] || s.beat.Name == name
			}
		}
		return nil
	})
	if err == nil && !slices.Contains(known, name) {
		slices.Sort(known)
		err = fmt.Errorf("there is no machine %s, only %s", name, cmp.Or(strings.Join(known, ", "), "none"))
	}
	return nil, err
}

// Cluster is what is the same for all jobs.
type Cluster struct {
	Store        string         `json:"store"` // where jobs are kept
	Leader       string         `json:"leader"`
	Coordinators []ledger.Peer  `json:"coordinators"`
	Learners     []ledger.Peer  `json:"learners,omitempty"` // of them, who does not vote yet
	Refused      uint64         `json:"refused"`            // connections and messages, by the leader
	Revoked      []string       `json:"revoked"`
	Tokens       map[string]int `json:"tokens"` // uses, by id
}

// cluster answers VerbCluster.
func (c *Coordinator) cluster([]byte) ([]byte, error) {
	return c.leaderOnly(func() any {
		s := c.ledger.State()
		out := Cluster{Store: c.cfg.StoreAt, Leader: c.cfg.ID, Coordinators: c.ledger.Servers(), Learners: c.ledger.Learners(), Refused: c.hub.Refused(), Revoked: s.Revoked, Tokens: map[string]int{}}
		for id, t := range s.Tokens {
			out.Tokens[id] = len(t.Machines)
		}
		return out
	})
}

// remove answers VerbRemove: a coordinator loses its vote for ever.
func (c *Coordinator) remove(payload []byte) ([]byte, error) {
	if c.ledger.Term() == 0 {
		return nil, &wire.NotLeader{Addr: c.leaderAddr()}
	}
	want, all := string(payload), c.ledger.Servers()
	var names []string
	for _, p := range all {
		names = append(names, p.ID)
		if p.ID != want && job.NodeID(p.ID).Name() != want {
			continue
		}
		if len(all) == 1 {
			return nil, errors.New("it is the only coordinator that is left")
		}
		err := c.ledger.Remove(p.ID)
		if errors.Is(err, ledger.ErrNotLeader) {
			return nil, &wire.NotLeader{}
		}
		return nil, err
	}
	return nil, fmt.Errorf("there is no coordinator %s, only %s", want, strings.Join(names, ", "))
}

// MetricsRequest asks for lines of a job's metrics.
type MetricsRequest struct {
	Job   job.ID `json:"job"`
	After uint64 `json:"after"` // step
}

// metricsRoom bounds one answer, in bytes.
const metricsRoom = 512 << 10

// metrics answers VerbMetrics. Each coordinator has the lines that it wrote itself.
func (c *Coordinator) metrics(payload []byte) ([]byte, error) {
	var r MetricsRequest
	if err := json.Unmarshal(payload, &r); err != nil {
		return nil, err
	}
	if c.jobOf(r.Job) == nil {
		return nil, noJob(r.Job)
	}
	f, err := os.Open(c.metricsFile(r.Job))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []byte
	for lines := bufio.NewScanner(f); lines.Scan() && len(out) < metricsRoom; {
		var m Metrics
		if json.Unmarshal(lines.Bytes(), &m) == nil && m.Step > r.After {
			out = append(append(out, lines.Bytes()...), '\n')
		}
	}
	return out, nil
}
