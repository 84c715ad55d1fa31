package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"

	"carillon/job"
)

// Peer is a node as others reach it.
type Peer struct {
	ID   job.NodeID
	Addr string // as Links.Addr gives it
}

// nobody says what it means that nobody there hears what is said to the peer.
func (p Peer) nobody() string {
	if strings.HasPrefix(p.Addr, relayed) {
		return "it is not there"
	}
	return "another process listens there"
}

// cause is why there is no connection; nats.go keeps it to itself when it is refused.
func cause(err error) error {
	if errors.Is(err, nats.ErrNoServers) {
		return syscall.ECONNREFUSED
	}
	return err
}

// silent keeps nats.go from printing errors on stderr. What matters of them is
// returned where it happens, or told by the connection's end.
var silent = nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})

// dialPatience bounds one attempt to connect, unless the context ends before.
const dialPatience = 2 * time.Second

// link is a connection to where another node is reached. It does not reconnect.
type link struct {
	peer Peer
	nc   *nats.Conn
	raw  *killer
	rtt  time.Duration // of the handshake

	mu     sync.Mutex // guards the fields below
	err    error      // why it ended; nil while it lives
	broken func(error)
}

// dialLink connects to peer as cfg's node and makes sure that it is the peer who
// answers there, in our version. Once that is done, broken is called when the
// connection ends by itself, once, and must not block.
func dialLink(ctx context.Context, cfg Config, peer Peer) (*link, error) {
	l := &link{peer: peer}
	l.raw = &killer{patience: patience(ctx), ended: l.end}
	stop := context.AfterFunc(ctx, l.raw.kill)
	defer stop()
	url, opts := cfg.client(peer)
	nc, err := nats.Connect(url, append(opts, nats.CustomInboxPrefix(inboxAt(cfg.Self, peer.ID)), silent,
		nats.NoEcho(), nats.NoReconnect(), nats.ReconnectBufSize(-1), nats.Timeout(l.raw.patience), nats.FlusherTimeout(writePatience), nats.SetCustomDialer(l.raw))...)
	if err != nil {
		l.raw.kill()
		return nil, because(ctx, fmt.Errorf("connect to %s at %s: %w", peer.ID, peer.Addr, cause(err)))
	}
	l.nc = nc
	if err := l.shakeHands(ctx, greetSubject(cfg.Job, peer.ID, cfg.Self)); err != nil {
		l.close()
		return nil, because(ctx, fmt.Errorf("greet %s at %s: %w", peer.ID, peer.Addr, err))
	}
	return l, nil
}

// shakeHands asks the peer for its version, and measures how long that takes.
func (l *link) shakeHands(ctx context.Context, subject string) error {
	ctx, cancel := context.WithTimeout(ctx, dialPatience)
	defer cancel()
	start := time.Now()
	msg, err := l.nc.RequestWithContext(ctx, subject, nil)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("%s: %w", l.peer.nobody(), err)
	case err != nil:
		return err
	case len(msg.Data) != 2:
		return fmt.Errorf("its greeting has %d bytes, want 2", len(msg.Data))
	}
	l.rtt = time.Since(start)
	if v := binary.LittleEndian.Uint16(msg.Data); v != Version {
		return fmt.Errorf("it speaks version %d, this node %d; run one version of carillon on all nodes", v, Version)
	}
	return nil
}

// watch sets who is told when the link ends by itself. If it has already, that
// is told at once.
func (l *link) watch(broken func(error)) {
	l.mu.Lock()
	err := l.err
	l.broken = broken
	l.mu.Unlock()
	if err != nil && broken != nil {
		broken(err)
	}
}

func (l *link) end(err error) {
	l.mu.Lock()
	if l.err == nil {
		l.err = fmt.Errorf("connection to %s broke: %w", l.peer.ID, err)
	}
	broken, err := l.broken, l.err
	l.mu.Unlock()
	if broken != nil {
		broken(err)
	}
}

func (l *link) alive() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err == nil
}

// drop ends the link without a word to broken.
func (l *link) drop(why error) {
	l.mu.Lock()
	if l.err == nil {
		l.err = why
	}
	l.broken = nil
	l.mu.Unlock()
	l.raw.kill()
}

// close drops the link and frees what it holds. It does not block, whatever
// the peer does.
func (l *link) close() {
	l.drop(ErrClosed)
	l.nc.Close()
}

// because adds the reason why ctx ended to the error that this led to.
func because(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || errors.Is(err, context.Cause(ctx)) {
		return err
	}
	return fmt.Errorf("%w: %w", err, context.Cause(ctx))
}

// patience is how long to wait for a connection: dialPatience, or a little more
// than what ctx leaves, so that it is ctx that ends the wait.
func patience(ctx context.Context) time.Duration {
	if deadline, ok := ctx.Deadline(); ok {
		return max(0, min(dialPatience, time.Until(deadline))) + 50*time.Millisecond
	}
	return dialPatience
}
