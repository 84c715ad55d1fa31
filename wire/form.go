package wire

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"carillon/job"
)

// maxEarly bounds the data held for rosters that this node has not formed yet,
// in bytes. Peers stop at their windows long before.
const maxEarly = 256 << 20

// retirePatience is how long a peer that leaves may take to receive the rest.
const retirePatience = time.Second

// Form links this node with all members of a roster: peers in rank order, this
// node among them. It closes the mesh before it and drops the connections to
// nodes that are no longer in. Connections to nodes that stay are kept.
//
// broken is called once for each peer whose connection breaks while the mesh is
// open, or had broken before Form returned. It runs in a goroutine of the
// connection and must not block or call back into Links.
//
// Form waits for all peers at most until ctx ends, and for each at most two
// seconds. Its error then joins one *PeerError for each that could not be
// reached, and Form may be called again with the same number. A number that was
// formed cannot be formed again, nor an older one.
func (l *Links) Form(ctx context.Context, number job.RosterNumber, peers []Peer, broken func(job.NodeID, error)) (*Mesh, error) {
	l.forming.Lock()
	defer l.forming.Unlock()
	rank := rankOf(l.cfg.Self, peers)
	if rank < 0 || len(peers) > 1<<16 {
		return nil, fmt.Errorf("form roster %v: %s is not among its %d members", number, l.cfg.Self, len(peers))
	}
	if err := l.leave(number, peers); err != nil {
		return nil, fmt.Errorf("form roster %v: %w", number, err)
	}
	links, err := l.reach(ctx, rank, peers)
	if err != nil {
		return nil, fmt.Errorf("form roster %v: %w", number, err)
	}
	m := newMesh(l, number, rank, peers, links, broken)
	if err := l.install(m); err != nil {
		return nil, fmt.Errorf("form roster %v: %w", number, err)
	}
	for r, k := range links {
		if k != nil {
			k.watch(func(err error) { m.lost(r, err) })
		}
	}
	return m, nil
}

func rankOf(id job.NodeID, peers []Peer) int {
	for r, p := range peers {
		if p.ID == id {
			return r
		}
	}
	return -1
}

// leave ends the mesh before number, and the connections that number does not need.
func (l *Links) leave(number job.RosterNumber, peers []Peer) error {
	staying := map[Peer]bool{}
	for _, p := range peers {
		staying[p] = true
	}
	l.mu.Lock()
	old := l.mesh
	if old != nil && !old.number.Less(number) {
		l.mu.Unlock()
		return fmt.Errorf("roster %v is formed already", old.number)
	}
	l.mu.Unlock()
	if old != nil {
		old.Close()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for p, k := range l.links {
		if !staying[p] || !k.alive() {
			delete(l.links, p)
			l.retire(k)
		}
	}
	for p, k := range l.questions {
		if !staying[p] && strings.HasPrefix(p.Addr, relayed) { // it would outlive the peer
			delete(l.questions, p)
			l.retire(k)
		}
	}
	return nil
}

// retire closes a link that is no longer needed, once the peer has what was
// sent to it: who leaves a roster may still be about to finish its last sum.
// l.mu is held.
func (l *Links) retire(k *link) {
	if l.closed {
		k.close()
		return
	}
	k.watch(nil)
	l.retired[k] = true
	l.callers.Go(func() {
		k.nc.FlushTimeout(retirePatience) // what a stopped or dead peer lacks, it lacks
		k.close()
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.retired, k)
	})
}

// reach returns a link to each peer but this node, by rank, all at once.
func (l *Links) reach(ctx context.Context, self int, peers []Peer) ([]*link, error) {
	links, errs := make([]*link, len(peers)), make([]error, len(peers))
	var wg sync.WaitGroup
	for r, p := range peers {
		if r != self {
			wg.Go(func() {
				if links[r], errs[r] = l.reachOne(ctx, p); errs[r] != nil {
					errs[r] = &PeerError{Rank: r, ID: p.ID, Err: errs[r]}
				}
			})
		}
	}
	wg.Wait()
	return links, join(errs)
}

func (l *Links) reachOne(ctx context.Context, p Peer) (*link, error) {
	l.mu.Lock()
	k := l.links[p]
	l.mu.Unlock()
	if k != nil && k.alive() {
		return k, nil
	}
	k, err := dialLink(ctx, l.cfg, p)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		k.close()
		return nil, ErrClosed
	}
	l.links[p] = k
	return k, nil
}

// install makes m the mesh that frames go to, beginning with those that came early.
func (l *Links) install(m *Mesh) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return ErrClosed
	case l.mesh != nil && !l.mesh.number.Less(m.number):
		return fmt.Errorf("roster %v is formed already", l.mesh.number)
	}
	l.mesh = m
	early := l.early
	l.early, l.earlySize = nil, 0
	for _, f := range early {
		l.deliver(f)
	}
	return nil
}

// receive takes a frame from the node's own server, which has made sure that it is from
// the node that its subject names.
func (l *Links) receive(from job.NodeID, msg []byte) {
	f, err := parseFrame(msg)
	if err != nil && !errors.Is(err, errCRC) {
		l.cfg.Log.Warn("a frame does not parse", "error", err)
		l.dropped.Add(1)
		return
	}
	f.from = from
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.damaged(f, err)
		return
	}
	l.deliver(f)
}

// damaged blames the rank that a damaged frame names, if it can be one. The
// gap in that rank's sequence would be noticed anyway, but only with its next
// frame. l.mu is held.
func (l *Links) damaged(f frame, err error) {
	l.dropped.Add(1)
	l.cfg.Log.Warn("a frame is damaged", "source", f.source, "error", err)
	if m := l.mesh; m != nil && m.number == f.roster && m.sent(f) {
		m.suspect(int(f.source), err)
	}
}

// deliver hands a frame to the mesh, holds it for a later one, or drops it. l.mu is held.
func (l *Links) deliver(f frame) {
	switch {
	case f.job != l.hash || l.mesh != nil && f.roster.Less(l.mesh.number):
		l.dropped.Add(1)
	case l.mesh == nil || l.mesh.number.Less(f.roster):
		l.hold(f)
	case !l.mesh.sent(f) || !l.mesh.take(f):
		l.dropped.Add(1)
	}
}

// hold keeps a frame of a roster that this node has not formed yet: peers may
// be that much ahead. l.mu is held.
func (l *Links) hold(f frame) {
	if l.earlySize+len(f.data) > maxEarly {
		l.dropped.Add(1) // whoever sent it is found by the gap in its sequence
		return
	}
	l.early = append(l.early, f)
	l.earlySize += len(f.data) + trailerSize
}
