package train

import (
	"context"
	"errors"
	"fmt"

	"carillon/job"
)

var (
	errSuperseded = errors.New("superseded")
	errDone       = errors.New("done")
)

// fatalError marks what no other roster would mend.
type fatalError struct{ error }

func (e fatalError) Unwrap() error { return e.error }

func fatal(err error) error {
	if err == nil {
		return nil
	}
	return fatalError{err}
}

// fail ends a ride. What another roster can mend is noted for the next beat;
// anything else is returned.
func (t *Trainer) fail(ctx context.Context, err error) error {
	var f fatalError
	var split *SplitError
	if errors.As(err, &f) || errors.As(err, &split) {
		return err
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, errSuperseded) && !errors.Is(cause, errLost) {
		return cause // the whole run ends
	}
	t.mu.Lock()
	t.failed = true
	t.suspect(err)
	number := t.current.Number
	t.mu.Unlock()
	if !errors.Is(context.Cause(ctx), errSuperseded) {
		t.cfg.Log.Warn("sum failed; waiting for the next roster", "roster", number, "error", err)
	}
	t.cfg.Reporter.Changed()
	return nil
}

var errLost = errors.New("lost")

// lost notes that the connection to a member broke, and ends the sum with it.
func (t *Trainer) lost(id job.NodeID, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.addSuspect(id)
	t.endRide(fmt.Errorf("%v: %w: %w", id, errLost, err))
}

// suspect notes whom an error blames. t.mu is held.
func (t *Trainer) suspect(err error) {
	var blames interface{ Suspect() job.NodeID }
	if errors.As(err, &blames) {
		t.addSuspect(blames.Suspect())
	}
}

func (t *Trainer) addSuspect(id job.NodeID) {
	for _, s := range t.suspects {
		if s == id {
			return
		}
	}
	if t.current.Has(id) {
		t.suspects = append(t.suspects, id)
	}
}

func isFatal(err error) bool {
	var f fatalError
	return errors.As(err, &f)
}
