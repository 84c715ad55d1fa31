package node

import (
	"context"
	"errors"
	"time"
)

// ErrLeft is in the chain of Run's error when the node left before it was part of a job.
var ErrLeft = errors.New("left")

// ErrBusy is in the chain of Run's error when the node left in the middle of something
// that cannot be interrupted: the process must end for it to stop.
var ErrBusy = errors.New("something is still running that cannot be interrupted")

const (
	// leavePatience is how long the others may take to go on without this node. Clouds
	// give 30 seconds, and the last state may have to be stored, too.
	leavePatience = 20 * time.Second
	// busyPatience is how long work may take to heed the end of its context.
	busyPatience = 300 * time.Millisecond
)

// workOrLeave works until that ends or this node has left.
func (n *node) workOrLeave(ctx context.Context) error {
	done := make(chan error, 1)
	go func() { done <- n.work(ctx) }()
	select {
	case err := <-done:
		return err
	case why := <-n.cfg.Leave:
		if n.leave(why) { // the others take the lanes over, and then let it go
			stop := time.AfterFunc(leavePatience, func() { n.refuse(ErrLeft) })
			defer stop.Stop()
			return <-done
		}
	}
	select { // nobody counts on it yet
	case err := <-done:
		return errors.Join(ErrLeft, err)
	case <-time.After(busyPatience):
		return errors.Join(ErrLeft, ErrBusy)
	}
}

// leave says so from the next beat on, and whether this node can train: if not, its
// work ends at once.
func (n *node) leave(why string) (ready bool) {
	n.mu.Lock()
	n.leaving, n.state = true, "leaving"
	ready = n.trainer != nil
	n.mu.Unlock()
	n.log.Info("leaving", "why", why)
	if !ready {
		n.refuse(ErrLeft)
	}
	n.Changed()
	return ready
}
