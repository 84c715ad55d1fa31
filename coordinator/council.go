package coordinator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"carillon/job"
	"carillon/ledger"
	"carillon/pki"
	"carillon/wire"
)

// Council is how a coordinator of a cluster finds the others. Each has an id of its
// own, its name and some random bits, which its folder keeps: one whose folder was
// lost is another voter, and takes the dead one's place.
type Council struct {
	Name      string
	Listen    string   // host:port of the hub; raft listens on the next port
	Advertise string   // host under which others reach this one
	Join      []string // URLs of the first coordinators, this one's among them
}

// The verbs with which coordinators find each other.
const (
	verbWho     = "who"     // -> who
	verbAdmit   = "admit"   // ledger.Peer: hear of everything
	verbPromote = "promote" // ledger.Peer: and vote
)

// who is what a coordinator says of itself.
type who struct {
	ledger.Peer
	Formed bool     `json:"formed"` // it has a ledger
	Voters []string `json:"voters,omitempty"`
}

// lookAround is how often a coordinator that has not found the others looks again.
const lookAround = 500 * time.Millisecond

// ledgerConfig finds out whom this coordinator votes with. One that has a ledger knows.
func (c *Coordinator) ledgerConfig(ctx context.Context) (ledger.Config, error) {
	if c.cfg.Council == nil {
		lc := ledger.Config{ID: c.cfg.ID, Dir: c.cfg.Dir, Identity: c.cfg.Identity, Log: c.log}
		for _, p := range c.cfg.Peers {
			lc.Peers = append(lc.Peers, ledger.Peer{ID: p.ID, Addr: p.Raft})
		}
		return lc, nil
	}
	lc, err := c.introduce()
	if err != nil || ledger.Known(lc.Dir) {
		return lc, err
	}
	lc.Peers, err = c.meet(ctx, ledger.Peer{ID: lc.ID, Addr: lc.Addr})
	return lc, err
}

// introduce is a ledger's configuration as far as this coordinator alone knows it. From
// then on it tells others who it is.
func (c *Coordinator) introduce() (lc ledger.Config, err error) {
	k := c.cfg.Council
	lc = ledger.Config{Dir: filepath.Join(c.cfg.Dir, "ledger"), Identity: c.cfg.Identity, Log: c.log}
	if lc.ID, err = keepID(c.cfg.Dir, k.Name); err != nil {
		return lc, err
	}
	if lc.Listen, err = wire.Beside(k.Listen, 1); err != nil {
		return lc, err
	}
	if lc.Addr, err = wire.Beside(strings.TrimPrefix(c.hub.Addr(), "nats://"), 1); err != nil {
		return lc, err
	}
	c.me = ledger.Peer{ID: lc.ID, Addr: lc.Addr}
	known := ledger.Known(lc.Dir)
	c.hub.HandleFrom(wire.Voters, verbWho, func([]byte) ([]byte, error) {
		w := who{Peer: c.me, Formed: known}
		if l := c.formed.Load(); l != nil {
			w.Formed = true
			for _, v := range l.Voters() {
				w.Voters = append(w.Voters, v.ID)
			}
		}
		return json.Marshal(w)
	})
	return lc, nil
}

// keepID returns the id that the folder keeps, and makes it where there is none.
func keepID(dir, name string) (string, error) {
	path := filepath.Join(dir, "id")
	text, err := os.ReadFile(path)
	if err == nil {
		id := strings.TrimSpace(string(text))
		if job.NodeID(id).Name() != name {
			return "", fmt.Errorf("%s: the folder is that of coordinator %s, not %s", path, job.NodeID(id).Name(), name)
		}
		return id, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	id := string(job.NewNodeID(name))
	return id, os.WriteFile(path, []byte(id+"\n"), 0o600)
}

// meet waits for all the others, or for a ledger that they have already, into which it
// is let; then it returns none.
func (c *Coordinator) meet(ctx context.Context, me ledger.Peer) ([]ledger.Peer, error) {
	others, err := c.dialCouncil()
	if err != nil {
		return nil, err
	}
	defer others.Close()
	for told := ""; ; {
		found, formed := c.lookAround(ctx, others)
		if formed != nil && slices.Contains(formed.Voters, me.ID) {
			return nil, nil // it was let in before, or was there at the beginning, and did not live to hear it
		}
		if formed != nil {
			if _, err := c.ask(ctx, others, verbAdmit, me); err == nil {
				return nil, nil
			}
		} else if len(found) == len(c.cfg.Council.Join) {
			return found, nil
		}
		if now := fmt.Sprintf("%d of %d coordinators are here", len(found), len(c.cfg.Council.Join)); now != told {
			c.log.Info(now)
			told = now
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(lookAround):
		}
	}
}

func (c *Coordinator) dialCouncil() (*wire.Control, error) {
	cc := wire.ControlConfig{Coordinators: c.cfg.Council.Join, Log: c.log}
	if c.cfg.Identity != nil {
		cc.TLS = c.cfg.Identity.Client(pki.Coordinator)
	}
	return wire.Dial(cc)
}

// lookAround lists the coordinators that answer, by id, and one that has a ledger.
func (c *Coordinator) lookAround(ctx context.Context, others *wire.Control) (found []ledger.Peer, formed *who) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	answers, _ := others.Each(ctx, wire.Voters, verbWho, nil)
	for _, a := range answers {
		var w who
		if json.Unmarshal(a, &w) != nil || slices.Contains(found, w.Peer) {
			continue
		}
		found = append(found, w.Peer)
		if w.Formed {
			formed = &w
		}
	}
	slices.SortFunc(found, func(a, b ledger.Peer) int { return strings.Compare(a.ID, b.ID) })
	return found, formed
}

func (c *Coordinator) ask(ctx context.Context, others *wire.Control, verb string, me ledger.Peer) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	payload, err := json.Marshal(me)
	if err != nil {
		return nil, err
	}
	return others.RequestAs(ctx, wire.Voters, verb, payload)
}

// enlist makes sure that this coordinator votes, under the address that it has now,
// until ctx ends. Its error is that it was removed.
func (c *Coordinator) enlist(ctx context.Context) error {
	others, err := c.dialCouncil()
	if err != nil {
		return err
	}
	defer others.Close()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if slices.Contains(c.ledger.Voters(), c.me) && c.ledger.Leader() != "" {
			continue
		}
		if answer, err := c.ask(ctx, others, verbPromote, c.me); err == nil && string(answer) == removedWord {
			return fmt.Errorf("coordinator %s was removed; with an empty folder it is let in as a new one", c.me.ID)
		}
	}
}

// removedWord is the answer to a coordinator that was removed.
const removedWord = "removed"

// admit answers verbAdmit. Who had the newcomer's name before is dead, with its folder:
// two voters cannot have one address.
func (c *Coordinator) admit(payload []byte) ([]byte, error) {
	return nil, c.asLeader(payload, func(p ledger.Peer) error {
		for _, old := range c.ledger.Servers() {
			if old.ID != p.ID && (old.Addr == p.Addr || job.NodeID(old.ID).Name() == job.NodeID(p.ID).Name()) {
				c.log.Info("a coordinator is replaced", "id", old.ID, "by", p.ID)
				if err := c.ledger.Remove(old.ID); err != nil {
					return err
				}
			}
		}
		return c.ledger.Admit(p)
	})
}

// promote answers verbPromote, of who was admitted or votes under another address.
func (c *Coordinator) promote(payload []byte) (answer []byte, err error) {
	err = c.asLeader(payload, func(p ledger.Peer) error {
		if !slices.ContainsFunc(c.ledger.Servers(), func(s ledger.Peer) bool { return s.ID == p.ID }) {
			answer = []byte(removedWord)
			return nil
		}
		c.log.Info("a coordinator votes", "id", p.ID, "raft", p.Addr)
		return c.ledger.Promote(p)
	})
	return answer, err
}

func (c *Coordinator) asLeader(payload []byte, do func(ledger.Peer) error) error {
	var p ledger.Peer
	if err := json.Unmarshal(payload, &p); err != nil {
		return err
	}
	if c.ledger.Term() == 0 {
		return &wire.NotLeader{Addr: c.leaderAddr()}
	}
	err := do(p)
	if errors.Is(err, ledger.ErrNotLeader) {
		return &wire.NotLeader{}
	}
	return err
}
