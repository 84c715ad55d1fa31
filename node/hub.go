package node

import (
	"errors"
	"time"

	"carillon/job"
	"carillon/roster"
)

// A node that is reached through a coordinator connects to one that it can reach; the
// others may not. Nobody tells it: it is let in, nobody hears it, it is left out.

// maxLeftOut is how often that may happen, without a step between, before the node begins
// anew: who starts it again names another coordinator first. Once may be chance.
const maxLeftOut = 2

// welcome is whether the others can do anything with this node.
type welcome struct {
	newest  job.RosterNumber
	in      bool      // newest has it
	unheard time.Time // when a beat was not answered, since it was let in: that may be why it is left out
	leftOut int       // how often it was let in, heard, and left out since its last step
}

// excused is how long a beat that was not answered explains what follows.
const excused = 5 * time.Second

// heed takes a roster in and says whether the node is of no use here.
func (w *welcome) heed(r roster.Roster, self job.NodeID) (useless bool) {
	if !w.newest.Less(r.Number) {
		return false
	}
	was := w.in
	w.newest, w.in = r.Number, r.Has(self)
	if was && !w.in && time.Since(w.unheard) > excused {
		w.leftOut++
	}
	if !was && w.in {
		w.unheard = time.Time{}
	}
	return w.leftOut >= maxLeftOut
}

// unanswered notes that a beat was.
func (n *node) unanswered() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.welcome.unheard = time.Now()
}

// beginAnew ends this node for who started it to start it again. Nobody is to let it in
// meanwhile: something may still be stored.
func (n *node) beginAnew(why error) {
	n.mu.Lock()
	n.leaving = true
	n.mu.Unlock()
	n.refuse(why)
	n.Changed()
}

// errUnheard ends a node that begins anew elsewhere.
var errUnheard = errors.New("other nodes do not hear this one through the coordinator that it is connected to, though the coordinators do")
