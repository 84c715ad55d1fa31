// Package ringtest is an allreduce.Mesh in memory, with faults that have an
// address: a rank and a hop. It opens no socket and reads no clock, so a test in
// a testing/synctest bubble runs in virtual time. Run is the list of things that
// every Mesh must do.
package ringtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"carillon/allreduce"
)

// ErrBroken is what ranks meet that exchange with a rank lost by BreakAt.
var ErrBroken = errors.New("link is broken")

// Group is the ranks of one roster. Set its faults before its first exchange.
type Group struct {
	ranks []*rank

	mu    sync.Mutex // guards the fields below
	boxes map[box]chan []byte
	fired int
}

// box is where one rank leaves a hop's messages for another.
type box struct {
	hop      allreduce.Hop
	from, to int
}

// boxSize is how many sums a rank may run ahead of another; no sequence of sums
// lets it run ahead by more than one.
const boxSize = 4

// fault happens the first time that its rank comes to its hop.
type fault struct {
	hop   allreduce.Hop
	lose  bool                // say and hear nothing any more
	snap  bool                // break all links
	twist func([]byte) []byte // change what is sent
}

var _ allreduce.Mesh = (*rank)(nil)

// rank is one node's end of a Group.
type rank struct {
	group  *Group
	number int
	faults []fault
	broken chan struct{} // closed once its links are broken
	sent   int           // bytes; only its own goroutine writes it
}

// New makes a group of so many ranks.
func New(ranks int) *Group {
	g := &Group{boxes: map[box]chan []byte{}}
	for r := range ranks {
		g.ranks = append(g.ranks, &rank{group: g, number: r, broken: make(chan struct{})})
	}
	return g
}

// LoseAt makes the rank go silent at the hop: it sends nothing from there on, and
// hears nothing until its context ends. The others notice nothing but silence.
func (g *Group) LoseAt(rank int, hop allreduce.Hop) *Group {
	return g.add(rank, fault{hop: hop, lose: true})
}

// BreakAt breaks all links of the rank at the hop: it and whoever waits for it
// get ErrBroken at once, as when a process is killed.
func (g *Group) BreakAt(rank int, hop allreduce.Hop) *Group {
	return g.add(rank, fault{hop: hop, snap: true})
}

// CorruptAt passes each message that the rank sends at the hop through twist,
// which may change it and return another length.
func (g *Group) CorruptAt(rank int, hop allreduce.Hop, twist func([]byte) []byte) *Group {
	return g.add(rank, fault{hop: hop, twist: twist})
}

func (g *Group) add(rank int, f fault) *Group {
	r := g.ranks[rank]
	r.faults = append(r.faults, f)
	return g
}

// Fired is how often a fault happened.
func (g *Group) Fired() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.fired
}

// Sent is how many bytes the rank has sent. Ask when the rank is not running.
func (g *Group) Sent(rank int) int { return g.ranks[rank].sent }

// Mesh is the rank's end.
func (g *Group) Mesh(rank int) allreduce.Mesh { return g.ranks[rank] }

// Meshes is every rank's end.
func (g *Group) Meshes() []allreduce.Mesh {
	all := make([]allreduce.Mesh, len(g.ranks))
	for r := range all {
		all[r] = g.Mesh(r)
	}
	return all
}

// Each runs do for all ranks of a group at once, waits for all, and returns each
// rank's error.
func Each(meshes []allreduce.Mesh, do func(m allreduce.Mesh) error) []error {
	errs := make([]error, len(meshes))
	var wg sync.WaitGroup
	for r, m := range meshes {
		wg.Go(func() { errs[r] = do(m) })
	}
	wg.Wait()
	return errs
}

func (r *rank) Rank() int { return r.number }
func (r *rank) Size() int { return len(r.group.ranks) }

// Exchange is allreduce.Mesh's, with this rank's faults.
func (r *rank) Exchange(ctx context.Context, hop allreduce.Hop, out [][]byte, from []int) ([][]byte, error) {
	if len(out) != r.Size() {
		return nil, fmt.Errorf("%d messages for %d ranks", len(out), r.Size())
	}
	select {
	case <-r.broken:
		return nil, ErrBroken
	default:
	}
	f := r.fire(hop)
	switch {
	case f.lose:
		<-ctx.Done()
		return nil, ctx.Err()
	case f.snap:
		close(r.broken)
		return nil, ErrBroken
	}
	if err := r.send(ctx, hop, out, f.twist); err != nil {
		return nil, err
	}
	return r.receive(ctx, hop, from)
}

// fire returns the rank's fault at the hop, which happens once, or none.
func (r *rank) fire(hop allreduce.Hop) fault {
	i := slices.IndexFunc(r.faults, func(f fault) bool { return f.hop == hop })
	if i < 0 {
		return fault{}
	}
	f := r.faults[i]
	r.faults = slices.Delete(r.faults, i, i+1)
	r.group.count()
	return f
}

func (r *rank) send(ctx context.Context, hop allreduce.Hop, out [][]byte, twist func([]byte) []byte) error {
	for to, msg := range out {
		if msg == nil {
			continue
		}
		msg = append([]byte{}, msg...) // out is the caller's again on return
		if twist != nil {
			msg = twist(msg)
		}
		r.sent += len(msg)
		select {
		case r.group.box(box{hop, r.number, to}) <- msg:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (r *rank) receive(ctx context.Context, hop allreduce.Hop, from []int) ([][]byte, error) {
	in := make([][]byte, r.Size())
	for _, f := range from {
		b := r.group.box(box{hop, f, r.number})
		select {
		case in[f] = <-b: // what arrived before the link broke counts
			continue
		default:
		}
		select {
		case in[f] = <-b:
		case <-r.group.ranks[f].broken:
			return nil, fmt.Errorf("rank %d: %w", f, ErrBroken)
		case <-ctx.Done():
			return nil, fmt.Errorf("rank %d: %w", f, ctx.Err())
		}
	}
	return in, nil
}

func (g *Group) box(b box) chan []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	c, ok := g.boxes[b]
	if !ok {
		c = make(chan []byte, boxSize)
		g.boxes[b] = c
	}
	return c
}

func (g *Group) count() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fired++
}
