package coordinator

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"carillon/job"
	"carillon/ledger"
	"carillon/objstore"
	"carillon/pki"
	"carillon/roster"
	"carillon/wire"
)

// Peer is a coordinator as the others know it.
type Peer struct {
	ID   string
	Raft string // host:port of its raft listener
	NATS string // host:port of its hub
}

// Config is what a coordinator is started with: among Peers, all of which are known and
// on loopback, or in a Council.
type Config struct {
	ID       string // among Peers, for ever with the same folder
	Peers    []Peer // all coordinators, this one included: one or three
	Council  *Council
	Identity *pki.Identity // nil: only on loopback, and nothing is encrypted
	Issuer   *pki.Issuer   // nil: it certifies nobody

	Dir       string // of the ledger
	Store     objstore.Store
	StoreAt   string        // its address, for who submits jobs
	OutputDir string        // whoever leads writes metrics.jsonl here; in a Council into a folder for each job
	Kill      func()        // what a drill does to the leader; nil: SIGKILL to this process
	Silence   time.Duration // without a beat for longer, a node is lost; 0: DefaultSilence
	Log       *slog.Logger
}

const (
	// DefaultSilence is how long a node may be silent. Beats come every 100 ms;
	// on a machine whose cores are all busy one may be several beats late.
	DefaultSilence = 2 * time.Second
	// doubt is the same for a member that another one blames.
	doubt = time.Second
	// grace is how long less than all nodes wait for more.
	grace = 10 * time.Second
	// tick is how often a leader looks at what it knows when nothing happens.
	tick = 50 * time.Millisecond
	// lateNews is how long a node, whose connection broke before this coordinator
	// led, has to show that it connected again.
	lateNews = 300 * time.Millisecond
)

// Coordinator is a running one.
type Coordinator struct {
	cfg    Config
	log    *slog.Logger
	hub    *wire.Hub
	ledger *ledger.Ledger
	formed atomic.Pointer[ledger.Ledger] // the same, once it is open
	me     ledger.Peer                   // in a Council
	poked  chan struct{}

	published published // used by Run alone
	spec      specCache

	mu       sync.Mutex // guards the fields below
	nodes    map[job.NodeID]*sighting
	gone     map[job.NodeID]bool // whose connection broke, and who has not beaten since
	draining map[job.NodeID]bool // machines that are asked to leave
	lead     *leading            // nil while this one does not lead
}

// published is the roster that was told last.
type published struct {
	job    job.ID
	roster job.RosterNumber
}

// sighting is what a coordinator knows of a node.
type sighting struct {
	beat        wire.Beat // the last one
	seen        time.Time // when it came
	readySince  time.Time
	failedSince time.Time
}

// Open starts listening and joins the other voters. In a Council it waits for them;
// else it does not.
func Open(ctx context.Context, cfg Config) (*Coordinator, error) {
	c := &Coordinator{cfg: cfg, log: cfg.Log, poked: make(chan struct{}, 1), nodes: map[job.NodeID]*sighting{}, gone: map[job.NodeID]bool{}, draining: map[job.NodeID]bool{}}
	hc := wire.HubConfig{Listen: c.peer(cfg.ID).NATS, Identity: cfg.Identity, Certifies: cfg.Issuer != nil}
	if k := cfg.Council; k != nil {
		c.cfg.ID, hc.Listen, hc.Advertise = k.Name, k.Listen, k.Advertise
	}
	c.log = cfg.Log.With("coordinator", c.cfg.ID)
	hc.Log = c.log
	c.cfg.Silence = cmp.Or(cfg.Silence, DefaultSilence)
	if c.cfg.Kill == nil {
		c.cfg.Kill = killSelf
	}
	var err error
	if c.hub, err = wire.Serve(hc); err != nil {
		return nil, err
	}
	lc, err := c.ledgerConfig(ctx)
	if err == nil {
		c.ledger, err = ledger.Open(lc)
	}
	if err != nil {
		c.hub.Close()
		return nil, err
	}
	c.formed.Store(c.ledger)
	c.answerAll()
	return c, nil
}

// answerAll begins to answer nodes, users and other coordinators.
func (c *Coordinator) answerAll() {
	c.hub.HandleBeat(c.answer)
	c.hub.HandleGone(c.lost)
	for verb, fn := range map[string]func([]byte) ([]byte, error){
		VerbSubmit: c.submit, VerbStatus: c.status, VerbStop: c.stop, VerbJobs: c.jobs, VerbMetrics: c.metrics,
		VerbMachines: c.machines, VerbDrain: c.drain, VerbCluster: c.cluster, VerbRemove: c.remove, VerbRevoke: c.revoke,
	} {
		c.hub.Handle(verb, fn)
	}
	c.hub.HandleFrom(wire.Voters, verbAdmit, c.admit)
	c.hub.HandleFrom(wire.Voters, verbPromote, c.promote)
	if c.cfg.Issuer != nil {
		c.hub.HandleJoin(c.join)
		c.hub.HandleRenew(c.renewCertificate)
	}
}

func killSelf() { _ = syscall.Kill(os.Getpid(), syscall.SIGKILL) }

func (c *Coordinator) peer(id string) (p Peer) {
	for _, p := range c.cfg.Peers {
		if p.ID == id {
			return p
		}
	}
	return p
}

// Addr is the URL of this coordinator's hub.
func (c *Coordinator) Addr() string { return c.hub.Addr() }

// Run does a coordinator's work until ctx ends, and closes it. A leader hands
// over first.
func (c *Coordinator) Run(ctx context.Context) error {
	ctx, removed := context.WithCancelCause(ctx)
	var enlisting sync.WaitGroup
	if c.cfg.Council != nil {
		enlisting.Go(func() {
			if err := c.enlist(ctx); err != nil {
				removed(err)
			}
		})
	}
	err := c.work(ctx)
	removed(nil)
	enlisting.Wait()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, ctx.Err()) {
		err = errors.Join(cause, err)
	}
	return err
}

func (c *Coordinator) work(ctx context.Context) error {
	t := time.NewTicker(tick)
	defer t.Stop()
	for ctx.Err() == nil {
		c.heedRevoked()
		c.forget(time.Now())
		c.publish()
		c.conduct(ctx)
		select {
		case <-ctx.Done():
		case <-t.C:
		case <-c.poked:
		case <-c.ledger.Watch():
		}
	}
	return c.close()
}

func (c *Coordinator) close() error {
	c.resign()
	err := c.ledger.Close()
	c.hub.Close()
	return err
}

// poke makes Run look at once.
func (c *Coordinator) poke() {
	select {
	case c.poked <- struct{}{}:
	default: // it is about to
	}
}

// job returns the job that is served, or nil.
func (c *Coordinator) job() *ledger.Job {
	s := c.ledger.State()
	return s.Current()
}

// jobOf returns a job that the ledger knows, or nil.
func (c *Coordinator) jobOf(id job.ID) *ledger.Job { return c.ledger.State().Jobs[id] }

// inCluster says whether jobs come one after another, to machines that stay.
func (c *Coordinator) inCluster() bool { return c.cfg.Council != nil }

// publish tells the nodes that are connected here of a roster that was applied.
func (c *Coordinator) publish() {
	j := c.job()
	if j == nil || len(j.Roster.Members) == 0 || c.published.job == j.ID && !c.published.roster.Less(j.Roster.Number) {
		return
	}
	c.published = published{j.ID, j.Roster.Number}
	if err := c.hub.Publish(j.ID, j.Roster); err != nil {
		c.log.Warn("publish", "error", err) // the answers to beats mend it
	}
}

// conduct does what is the leader's to do, if this is the leader.
func (c *Coordinator) conduct(ctx context.Context) {
	term := c.ledger.Term()
	if l := c.leading(); l != nil && l.term != term {
		c.resign()
	}
	if term == 0 {
		return
	}
	if c.leading() == nil {
		c.accede(ctx, term)
	}
	if j := c.job(); j != nil && c.leading() != nil {
		c.turnTo(j)
		c.decide(ctx, j)
	}
}

// turnTo makes a job the one that is led, with nothing left of the one before.
func (c *Coordinator) turnTo(j *ledger.Job) {
	l := c.leading()
	if l.job == j.ID {
		return
	}
	c.flush(l)
	if err := l.journal.close(); err != nil {
		c.log.Warn("close the metrics file", "error", err)
	}
	c.mu.Lock()
	l.begin(j.ID)
	c.trustAll(time.Now())
	c.mu.Unlock()
	l.nudge()
}

func (c *Coordinator) leading() *leading {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lead
}

// accede begins to lead.
func (c *Coordinator) accede(ctx context.Context, term uint64) {
	l := newLeading(term)
	c.mu.Lock()
	c.lead = l
	if j := c.job(); j != nil {
		l.begin(j.ID)
		c.trustAll(l.since)
	}
	c.mu.Unlock()
	keeping, cancel := context.WithCancel(ctx)
	l.stop = cancel
	l.keeper.Go(func() { c.keep(keeping, l) })
	c.log.Info("leading", "term", term)
}

// trustAll gives every member of the roster time for its first beat to a new
// leader. c.mu is held.
func (c *Coordinator) trustAll(since time.Time) {
	j := c.job()
	if j == nil {
		return
	}
	for _, m := range j.Roster.Members {
		s := c.nodes[m.ID]
		if s == nil {
			s = &sighting{beat: wire.Beat{Job: j.ID, ID: m.ID, Name: m.Name, Addr: m.Addr}}
			c.nodes[m.ID] = s
		}
		s.seen = since
		if c.gone[m.ID] { // it may have connected again, but to nobody who led
			delete(c.gone, m.ID)
			s.seen = since.Add(lateNews - c.cfg.Silence)
		}
	}
}

// resign ends this coordinator's lead, if it has any, and what was done for it.
func (c *Coordinator) resign() {
	c.mu.Lock()
	l := c.lead
	c.lead = nil
	c.mu.Unlock()
	if l == nil {
		return
	}
	l.stop()
	l.keeper.Wait()
	if err := l.journal.close(); err != nil {
		c.log.Warn("close the metrics file", "error", err)
	}
	c.log.Info("not leading any more", "term", l.term)
}

// propose adds an entry about the job to the ledger, and says whether it was
// applied. One that is void, or comes too late for this leader, is no matter:
// whoever leads decides again on what is then.
func (c *Coordinator) propose(ctx context.Context, id job.ID, e ledger.Entry) bool {
	e.Job, e.Time = id, time.Now().UTC()
	err := c.ledger.Propose(ctx, e)
	switch {
	case err == nil:
		c.poke()
		return true
	case errors.Is(err, ledger.ErrVoid), errors.Is(err, ledger.ErrNotLeader), ctx.Err() != nil:
		c.log.Debug("proposal", "error", err)
	default:
		c.log.Error("proposal", "error", err)
	}
	return false
}

// specCache keeps the spec that was decoded last.
type specCache struct {
	mu   sync.Mutex // guards the fields below
	raw  []byte
	spec job.Spec
}

func (s *specCache) of(j *ledger.Job) (job.Spec, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.raw == nil || !bytes.Equal(s.raw, j.Info.Spec) {
		spec, err := job.DecodeSpec(j.Info.Spec)
		if err != nil {
			return job.Spec{}, fmt.Errorf("job %s: %w", j.ID, err)
		}
		s.raw, s.spec = j.Info.Spec, spec
	}
	return s.spec, nil
}

// policy is what a job wants of its rosters.
func (c *Coordinator) policy(j *ledger.Job, s job.Spec) roster.Policy {
	p := roster.Policy{
		Incarnation: j.Incarnation, Lanes: s.Lanes, Nodes: s.Nodes, MinNodes: s.MinNodes, MaxNodes: s.MaxNodes,
		Silence: c.cfg.Silence, Doubt: min(doubt, c.cfg.Silence), Grace: grace,
	}
	if !s.Mixed {
		p.Probe = j.Probe.Probe
	}
	return p
}
