package ledger

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"
	"github.com/hashicorp/raft"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/metadb"

	"carillon/pki"
)

// The timeouts of raft. On loopback, voters of 200 ms elect a new leader 350 to
// 520 ms after a kill; but all of them, and the nodes that train, may share two
// busy cores, where a heartbeat can be held up for a good part of that. A
// needless election costs a moment without membership changes, a needed one
// should be over well within a second. So: between 250 and 500 ms until the
// leader is missed, and some milliseconds for the vote.
const (
	heartbeatTimeout = 250 * time.Millisecond // and of elections
	leaseTimeout     = 200 * time.Millisecond // a leader without a majority steps down after it
	commitTimeout    = 10 * time.Millisecond  // followers apply at most this much later
)

const (
	// segmentSize is how much disk the log allots at a time.
	segmentSize = 4 << 20
	// snapshotEvery is after how many entries the state is written down whole.
	snapshotEvery = 1024
	// maxPool is how many idle connections to each of the others are kept.
	maxPool = 3
	// dialTimeout bounds raft's own connections and requests.
	dialTimeout = time.Second
	// proposePatience bounds the wait for room in the leader's queue.
	proposePatience = time.Second
)

// ErrNotLeader is in the chain of Propose's errors when this coordinator does
// not lead, or ceased to before the entry was agreed on (which it may still be).
var ErrNotLeader = errors.New("this coordinator does not lead")

// Peer is a voter.
type Peer struct {
	ID   string `json:"id"`   // for ever the same voter, with its folder
	Addr string `json:"addr"` // host:port of its raft listener
}

// Config is what a Ledger needs. ID, Dir and Log are required.
type Config struct {
	ID       string
	Peers    []Peer        // the first voters, this one included, in any order; none: another admits it
	Addr     string        // host:port under which the others reach it; "": that of its Peer
	Listen   string        // host:port; "": Addr
	Identity *pki.Identity // nil: only on loopback, and nothing is encrypted
	Dir      string        // of this voter alone; kept over restarts
	Log      *slog.Logger
}

// Ledger is a voter. It is safe for concurrent use.
type Ledger struct {
	raft      *raft.Raft
	fsm       *fsm
	transport *raft.NetworkTransport
	stream    *stream
	lock      *flock.Flock       // on the folder: the log would wait for ever for another's
	meta      *metadb.BoltMetaDB // of the log, which does not close it
	log       *wal.WAL
	notify    chan bool
	done      chan struct{}
	closing   sync.Once
	term      atomic.Uint64 // in which this voter leads, with all entries before applied; 0: it does not
	changed   chan struct{}
}

// Open joins the voters, or starts them: the folder of a new one is empty. It
// does not wait for a leader.
func Open(cfg Config) (*Ledger, error) {
	addr, err := cfg.check()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.logDir(), 0o755); err != nil {
		return nil, err
	}
	l := &Ledger{notify: make(chan bool, 16), done: make(chan struct{}), changed: make(chan struct{}, 1)}
	l.fsm = newFSM(l.signal)
	if err := l.open(cfg, addr); err != nil {
		l.release()
		return nil, fmt.Errorf("open ledger in %s: %w", cfg.Dir, err)
	}
	go l.follow()
	return l, nil
}

// check returns this voter's address.
func (c Config) check() (addr string, err error) {
	addr = c.Addr
	for _, p := range c.Peers {
		if p.ID == c.ID {
			addr = cmp.Or(addr, p.Addr)
		}
	}
	switch {
	case len(c.Peers) > 0 && len(c.Peers)%2 == 0:
		return "", fmt.Errorf("%d coordinators: want 1, or 3, of which one may die, or 5", len(c.Peers))
	case len(c.Peers) > 0 && !slices.ContainsFunc(c.Peers, func(p Peer) bool { return p.ID == c.ID }):
		return "", fmt.Errorf("coordinator %q is not among its peers %v", c.ID, c.Peers)
	}
	for _, a := range append([]string{addr, cmp.Or(c.Listen, addr)}, addrs(c.Peers)...) {
		host, _, err := net.SplitHostPort(a)
		if err != nil {
			return "", fmt.Errorf("raft address of coordinator %s: %w", c.ID, err)
		}
		if ip := net.ParseIP(host); c.Identity == nil && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return "", fmt.Errorf("raft address %s is not on loopback, and coordinator %s has no certificate: elsewhere everything is encrypted, so give it one (carillon ca issue), or use 127.0.0.1", a, c.ID)
		}
	}
	return addr, nil
}

func addrs(peers []Peer) (a []string) {
	for _, p := range peers {
		a = append(a, p.Addr)
	}
	return a
}

func (l *Ledger) open(cfg Config, addr string) (err error) {
	out := logWriter{cfg.Log}
	if l.lock, err = lockDir(cfg.Dir); err != nil {
		return err
	}
	l.meta = &metadb.BoltMetaDB{}
	if l.log, err = wal.Open(cfg.logDir(), wal.WithMetaStore(l.meta), wal.WithSegmentSize(segmentSize), wal.WithLogger(quiet())); err != nil {
		return err
	}
	snapshots, err := raft.NewFileSnapshotStore(cfg.Dir, 2, io.Discard)
	if err != nil {
		return err
	}
	// One request at a time: raft 1.8.0 can block for ever in the pipeline of a
	// leader that steps down, and entries are small and few.
	tc := &raft.NetworkTransportConfig{MaxPool: maxPool, MaxRPCsInFlight: 1, Timeout: dialTimeout, Logger: quiet()}
	if l.stream, err = listen(cmp.Or(cfg.Listen, addr), addr, cfg.Identity); err != nil {
		return fmt.Errorf("listen on %s: %w", cmp.Or(cfg.Listen, addr), err)
	}
	tc.Stream = l.stream
	l.transport = raft.NewNetworkTransportWithConfig(tc)
	rc := cfg.raft(out, l.notify)
	known, err := raft.HasExistingState(l.log, l.log, snapshots)
	if err != nil {
		return err
	}
	if !known && len(cfg.Peers) > 0 {
		if err := raft.BootstrapCluster(rc, l.log, l.log, snapshots, l.transport, cfg.voters()); err != nil {
			return err
		}
	}
	if l.raft, err = raft.NewRaft(rc, l.fsm, l.log, l.log, snapshots, l.transport); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(cfg.Dir, voterMark), nil, 0o644)
}

// voterMark is a file in the folder of who has begun to take part. (Files of the log are
// there before.)
const voterMark = "voter"

// lockDir makes sure that no other process uses the folder.
func lockDir(dir string) (*flock.Flock, error) {
	lock := flock.New(filepath.Join(dir, "lock"))
	switch ok, err := lock.TryLock(); {
	case err != nil:
		return nil, err
	case !ok:
		return nil, errors.New("another coordinator uses this folder")
	}
	return lock, nil
}

func (c Config) logDir() string { return filepath.Join(c.Dir, "log") }

func (c Config) raft(out io.Writer, notify chan<- bool) *raft.Config {
	rc := raft.DefaultConfig()
	rc.LocalID = raft.ServerID(c.ID)
	rc.HeartbeatTimeout, rc.ElectionTimeout = heartbeatTimeout, heartbeatTimeout
	rc.LeaderLeaseTimeout, rc.CommitTimeout = leaseTimeout, commitTimeout
	rc.SnapshotThreshold, rc.TrailingLogs = snapshotEvery, snapshotEvery
	rc.NotifyCh = notify
	rc.LogOutput, rc.LogLevel = out, "INFO"
	return rc
}

func (c Config) voters() (v raft.Configuration) {
	for _, p := range c.Peers {
		v.Servers = append(v.Servers, raft.Server{Suffrage: raft.Voter, ID: raft.ServerID(p.ID), Address: raft.ServerAddress(p.Addr)})
	}
	return v
}

// follow keeps term as raft says, until Close. A new leader first applies
// whatever its predecessors have agreed on.
func (l *Ledger) follow() {
	defer close(l.done)
	for leads := range l.notify {
		l.term.Store(0)
		if term := l.raft.CurrentTerm(); leads && l.raft.Barrier(0).Error() == nil && l.raft.CurrentTerm() == term {
			l.term.Store(term)
		}
		l.signal()
	}
}

func (l *Ledger) signal() {
	select {
	case l.changed <- struct{}{}:
	default: // one is due already
	}
}

// Expel ends the connections of coordinators that were revoked.
func (l *Ledger) Expel() { l.stream.expel() }

// Watch receives after the state or the leadership has changed. Changes that
// come close together are told once. There is one channel, for one reader.
func (l *Ledger) Watch() <-chan struct{} { return l.changed }

// State returns what was agreed on, as far as this voter has heard. It is not
// to be changed.
func (l *Ledger) State() State { return *l.fsm.state.Load() }

// Leader returns the ID of who leads, "" when nobody is known to.
func (l *Ledger) Leader() string {
	_, id := l.raft.LeaderWithID()
	return string(id)
}

// Term returns the term in which this voter leads, with everything that was
// agreed on before applied, or 0 while it does not lead.
func (l *Ledger) Term() uint64 {
	term := l.term.Load()
	if l.raft.State() != raft.Leader || l.raft.CurrentTerm() != term {
		return 0
	}
	return term
}

// Propose makes e part of the ledger and returns when it is applied here. The
// error is ErrVoid when e did not fit, and ErrNotLeader when this voter does not
// lead; then, or when ctx has ended, e may still come to be applied. A leader
// that is cut off fails within its lease.
func (l *Ledger) Propose(ctx context.Context, e Entry) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	data, err := e.Encode()
	if err != nil {
		return fmt.Errorf("encode entry: %w", err)
	}
	f := l.raft.Apply(data, proposePatience)
	switch err := f.Error(); {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipLost), errors.Is(err, raft.ErrLeadershipTransferInProgress), errors.Is(err, raft.ErrRaftShutdown):
		return fmt.Errorf("%w (%v)", ErrNotLeader, err)
	case err != nil:
		return fmt.Errorf("propose: %w", err)
	}
	err, _ = f.Response().(error)
	return err
}

// Close leaves the voters: a leader hands over first, so that nobody waits for
// an election.
func (l *Ledger) Close() error {
	var err error
	l.closing.Do(func() {
		if l.raft.State() == raft.Leader {
			_ = l.raft.LeadershipTransfer().Error() // fails when it is alone: nothing to hand over
		}
		err = l.raft.Shutdown().Error()
		close(l.notify)
		<-l.done
		err = errors.Join(err, l.release())
	})
	return err
}

// release closes what open opened.
func (l *Ledger) release() (err error) {
	if l.transport != nil {
		l.transport.CloseStreams() // Close keeps the connections
		err = l.transport.Close()
	}
	if l.log != nil {
		err = errors.Join(err, l.log.Close())
	}
	if l.meta != nil {
		err = errors.Join(err, l.meta.Close())
	}
	if l.lock != nil {
		err = errors.Join(err, l.lock.Unlock())
	}
	return err
}
