package wire

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"carillon/allreduce"
	"carillon/job"
)

var _ allreduce.Mesh = (*Mesh)(nil)

// Mesh is a node's links to all members of one roster. Begin and Exchange are
// for one goroutine; the other methods are safe for concurrent use.
//
// The first error of an exchange, the first broken connection, and Close each
// end the mesh: every exchange after that returns the same error at once.
type Mesh struct {
	links  *Links
	number job.RosterNumber
	rank   int
	peers  []peerLink
	broken func(job.NodeID, error)

	exchanging sync.Mutex // held by the exchange that runs
	buf        []byte     // the frame being sealed, of that exchange
	cursor     []int      // pieces sent to each rank, of that exchange
	wake       chan struct{}
	bytes      atomic.Uint64

	sending atomic.Pointer[link] // whom a frame is being handed to
	ended   atomic.Bool          // failed is set

	mu     sync.Mutex // guards the fields below
	op     op
	failed error // why the mesh ended
	closed bool  // by its owner, who wants to hear no more
	out    []outbox
	in     []inbox
	want   *wanted // of the exchange that runs; nil between exchanges
}

// peerLink is how to reach a rank. link is nil for this node's own.
type peerLink struct {
	id      job.NodeID
	subject string
	link    *link
}

func newMesh(l *Links, number job.RosterNumber, rank int, peers []Peer, links []*link, broken func(job.NodeID, error)) *Mesh {
	m := &Mesh{
		links: l, number: number, rank: rank, broken: broken,
		peers: make([]peerLink, len(peers)), out: make([]outbox, len(peers)), in: make([]inbox, len(peers)),
		cursor: make([]int, len(peers)), wake: make(chan struct{}, 1),
	}
	for r, p := range peers {
		m.peers[r] = peerLink{id: p.ID, subject: frameSubject(l.cfg.Job, p.ID, l.cfg.Self), link: links[r]}
		m.out[r].window = minWindow
	}
	return m
}

// Rank is this node's place in the roster, from 0.
func (m *Mesh) Rank() int { return m.rank }

// Size is the number of members.
func (m *Mesh) Size() int { return len(m.peers) }

// BytesSent counts the bytes of all frames sent so far, with trailers and
// acknowledgements, without NATS's own few bytes a frame.
func (m *Mesh) BytesSent() uint64 { return m.bytes.Load() }

// Begin opens the exchanges of an attempt of a step. What peers sent for an
// older one is dropped, what they sent for this one already is kept. (step,
// attempt) must rise; the same again changes nothing. Within one, each hop is
// used once.
func (m *Mesh) Begin(step uint64, attempt uint32) {
	next := op{step, attempt}
	m.mu.Lock()
	defer m.mu.Unlock()
	if next == m.op {
		return
	}
	if next.less(m.op) {
		m.fail(fmt.Errorf("begin step %d attempt %d, after step %d attempt %d: steps must rise on one roster", step, attempt, m.op.step, m.op.attempt))
		return
	}
	m.op = next
	for r := range m.peers {
		m.out[r].begin()
		m.links.dropped.Add(m.in[r].begin(next))
	}
}

// Close ends the mesh, an exchange that runs included, and waits for that to
// return. The connections stay for the next roster.
func (m *Mesh) Close() {
	m.mu.Lock()
	m.closed = true
	m.fail(fmt.Errorf("the mesh of roster %v: %w", m.number, ErrClosed))
	m.mu.Unlock()
	m.exchanging.Lock() // only to wait
	defer m.exchanging.Unlock()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.in = make([]inbox, len(m.peers)) // what is queued is of no use
}

// Exchange implements allreduce.Mesh. When ctx's deadline passes, the error
// joins a *PeerError for each rank that has not sent, or not read; when ctx is
// cancelled, nobody is to blame.
func (m *Mesh) Exchange(ctx context.Context, hop allreduce.Hop, out [][]byte, from []int) ([][]byte, error) {
	m.exchanging.Lock()
	defer m.exchanging.Unlock()
	if err := m.start(hop, out, from); err != nil {
		return nil, fmt.Errorf("%v: %w", hop, err)
	}
	defer context.AfterFunc(ctx, m.unblock)()
	for {
		sent, err := m.push(ctx, hop, out)
		if err == nil {
			err = m.acknowledge(ctx)
		}
		got := false
		if err == nil {
			got, err = m.arrived()
		}
		if err == nil && sent && got {
			return m.finish(out, from), nil
		}
		if err == nil {
			err = m.wait(ctx)
		}
		if err != nil && ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
			err = m.late(ctx, out)
		}
		if err != nil {
			return nil, fmt.Errorf("%v: %w", hop, m.abandon(err))
		}
	}
}

// wait returns nil when there may be something to do.
func (m *Mesh) wait(ctx context.Context) error {
	select {
	case <-m.wake:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// start makes hop the exchange that runs, beginning with what came early.
func (m *Mesh) start(hop allreduce.Hop, out [][]byte, from []int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failed != nil {
		return m.failed
	}
	if len(out) != len(m.peers) {
		return fmt.Errorf("messages for %d ranks, want %d", len(out), len(m.peers))
	}
	if i := slices.IndexFunc(from, func(r int) bool { return r < 0 || r >= len(m.peers) }); i >= 0 {
		return fmt.Errorf("a message from rank %d of %d", from[i], len(m.peers))
	}
	clear(m.cursor)
	m.want = &wanted{hop: hop, ranks: make([]message, len(m.peers))}
	for _, r := range from {
		if r != m.rank {
			m.expect(r)
		}
	}
	return m.failed
}

// push sends what the windows allow, a piece to each rank in turn, and returns
// whether that was all.
func (m *Mesh) push(ctx context.Context, hop allreduce.Hop, out [][]byte) (all bool, err error) {
	for moved := true; moved; {
		moved, all = false, true
		for i := 1; i < len(out); i++ {
			r := (m.rank + i) % len(out) // not everybody to rank 0 first
			if out[r] == nil || m.cursor[r] == piecesOf(len(out[r])) {
				continue
			}
			t, ok := m.reserve(r, hop, out[r])
			if !ok {
				all = false
				continue
			}
			if err := m.send(ctx, r, t, cut(out[r], m.cursor[r])); err != nil {
				return false, err
			}
			m.cursor[r]++
			moved = true
		}
	}
	return all, nil
}

// reserve takes the next piece of message to rank r out of the window.
func (m *Mesh) reserve(r int, hop allreduce.Hop, message []byte) (trailer, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	o := &m.out[r]
	if !o.reserve(len(cut(message, m.cursor[r]))) {
		return trailer{}, false
	}
	t := m.trailer(hop)
	t.piece, t.pieces, t.sequence = uint32(m.cursor[r]), uint32(piecesOf(len(message))), o.sequence
	o.sequence++
	return t, true
}

// trailer is the address of a frame of one piece. m.mu is held.
func (m *Mesh) trailer(hop allreduce.Hop) trailer {
	return trailer{job: m.links.hash, roster: m.number, op: m.op, hop: hop, pieces: 1, source: uint16(m.rank)}
}

// send hands a frame to rank r's connection. A write that blocks ends with ctx
// or with the mesh (see unblock).
func (m *Mesh) send(ctx context.Context, r int, t trailer, data []byte) error {
	p := &m.peers[r]
	m.buf = t.seal(append(m.buf[:0], data...))
	m.sending.Store(p.link)
	defer m.sending.Store(nil)
	if m.ended.Load() {
		return m.reason()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := p.link.nc.Publish(p.subject, m.buf); err != nil {
		return &PeerError{Rank: r, ID: p.id, Err: because(ctx, fmt.Errorf("send: %w", err))}
	}
	m.bytes.Add(uint64(len(m.buf)))
	return nil
}

// unblock frees send from a connection that does not take its frame. That
// connection is lost with it: part of a frame may have been written. If it was
// only slow, nobody hears of it, and the next roster makes a new one.
func (m *Mesh) unblock() {
	if k := m.sending.Load(); k != nil {
		k.drop(errors.New("dropped in the middle of a write"))
	}
}

// acknowledge tells ranks how much of theirs was taken, where it is due.
func (m *Mesh) acknowledge(ctx context.Context) error {
	for r := range m.peers {
		m.mu.Lock()
		data := m.in[r].due()
		t := m.trailer(allreduce.Hop{Phase: phaseAck})
		m.mu.Unlock()
		if data == nil {
			continue
		}
		if err := m.send(ctx, r, t, data); err != nil {
			return err
		}
	}
	return nil
}

// late names those for whom the exchange has waited in vain.
func (m *Mesh) late(ctx context.Context, out [][]byte) error {
	cause := context.Cause(ctx)
	if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return cause
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	var errs []error
	for r, p := range m.peers {
		switch {
		case m.want.ranks[r].missing:
			errs = append(errs, &PeerError{r, p.id, fmt.Errorf("its message does not come: %w", cause)})
		case r != m.rank && out[r] != nil && m.cursor[r] < piecesOf(len(out[r])):
			errs = append(errs, &PeerError{r, p.id, fmt.Errorf("it does not read: %w", cause)})
		}
	}
	if len(errs) == 0 {
		return cause
	}
	return join(errs)
}

// abandon ends the mesh because an exchange failed, and returns why it ended,
// which may be something earlier.
func (m *Mesh) abandon(err error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.want = nil
	m.fail(err)
	return m.failed
}

// arrived says whether all that the exchange waits for is there, or why it
// never will be.
func (m *Mesh) arrived() (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.want.missing == 0, m.failed
}

// finish returns the messages. Nobody else sees them any more.
func (m *Mesh) finish(out [][]byte, from []int) [][]byte {
	m.mu.Lock()
	want := m.want
	m.want = nil
	m.mu.Unlock()
	in := make([][]byte, len(m.peers))
	for _, r := range from {
		if r == m.rank {
			in[r] = append([]byte{}, out[r]...)
		} else {
			in[r] = want.ranks[r].join()
		}
	}
	return in
}

// lost is told that the connection to rank r broke.
func (m *Mesh) lost(r int, err error) {
	m.mu.Lock()
	m.fail(&PeerError{r, m.peers[r].id, err})
	tell := !m.closed && m.broken != nil
	m.mu.Unlock()
	if tell {
		m.broken(m.peers[r].id, err)
	}
}

// sent says whether a frame is from the member whose rank it names.
func (m *Mesh) sent(f frame) bool {
	return int(f.source) < len(m.peers) && m.peers[f.source].id == f.from
}

// suspect ends the mesh because of what rank r did.
func (m *Mesh) suspect(r int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.blame(r, err)
}

func (m *Mesh) blame(r int, err error) { m.fail(&PeerError{r, m.peers[r].id, err}) }

// fail ends the mesh, once. m.mu is held.
func (m *Mesh) fail(err error) {
	if m.failed != nil {
		return
	}
	m.failed = err
	m.ended.Store(true)
	m.unblock()
	m.rouse()
}

func (m *Mesh) reason() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.failed
}

// rouse makes the exchange that runs look again.
func (m *Mesh) rouse() {
	select {
	case m.wake <- struct{}{}:
	default: // it will look anyway
	}
}
