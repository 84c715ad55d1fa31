package train

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"carillon/job"
	"carillon/roster"
)

// The verbs that trainers ask of each other.
const (
	verbHello = "hello"
	verbSum   = "sum"
	verbState = "state"
)

const (
	// helloPatience is how long a member may take over its first hello. It may
	// be in the middle of a gradient, which cannot be interrupted; that it is
	// alive at all is seen from its beats.
	helloPatience = time.Minute
	// askPatience bounds one question to one member.
	askPatience = 5 * time.Second
	// reachPatience is how long, and reachRounds how often in a row, who is let in may
	// fail to reach the first member of its roster: until it does, nobody else comes or
	// goes. One answer that is late means nothing.
	reachPatience = 8 * time.Second
	reachRounds   = 3
	// helloPause is the time between two rounds of hellos, unless somebody's
	// hello ends it earlier.
	helloPause = 20 * time.Millisecond
)

// ErrUnreached is in the chain of Run's error when this node was let into a roster whose
// first member it does not reach. It is this node's trouble alone.
var ErrUnreached = errors.New("another node cannot be reached")

// settle says hello on r, and catches up, until every member stands at the same
// step with the same digest.
func (t *Trainer) settle(ctx context.Context, r roster.Roster) error {
	ctx, cancel := context.WithTimeoutCause(ctx, helloPatience, fmt.Errorf("hello on roster %v: %w", r.Number, context.DeadlineExceeded))
	defer cancel()
	for {
		heard := t.listen()
		mine := t.hello(r.Number)
		others, _ := t.askAll(ctx, r)
		v, err := decide(mine, r.Rank(t.cfg.Self), others)
		if err != nil {
			return fatal(err)
		}
		switch v.do {
		case proceed:
			if t.agreeOn(others) {
				return nil
			}
		case catchUp:
			err = t.catchUp(ctx, r.Members[v.from], others[v.from])
		case restore:
			err = t.restore(ctx, v.reason)
		case wait:
			t.pause(ctx, heard)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			t.cfg.Log.Warn("catching up", job.KeyAt, t.at(r), "error", err)
			if isFatal(err) {
				return err
			}
			t.pause(ctx, heard)
		}
	}
}

// shadow follows the members of a planned roster that stand in its base, so
// that this node is near when they switch. It returns true when one of them has
// taken r up, and false when another roster has come since.
func (t *Trainer) shadow(ctx context.Context, r roster.Roster) (bool, error) {
	reached, missed := time.Now(), 0 // the first member
	for ctx.Err() == nil {
		if t.superseded(r) {
			return false, nil
		}
		heard := t.listen()
		mine := t.hello(r.Number)
		others, errs := t.askAll(ctx, r)
		switch missed++; {
		case others[0].Node != "" || r.Members[0].ID == t.cfg.Self:
			reached, missed = time.Now(), 0
		case missed >= reachRounds && time.Since(reached) > reachPatience && ctx.Err() == nil && !t.superseded(r):
			return false, fmt.Errorf("join roster %v: %w: %w", r.Number, ErrUnreached, errs[0])
		}
		ahead := -1
		for i, h := range others {
			if h.Node == "" || h.Node == t.cfg.Self {
				continue
			}
			if err := agree(mine, h); err != nil {
				return false, fatal(err)
			}
			if h.Roster == r.Number {
				return true, nil
			}
			if h.Step > mine.Step && (ahead < 0 || h.Step > others[ahead].Step) {
				ahead = i
			}
		}
		var err error
		if ahead >= 0 {
			began := time.Now()
			err = t.catchUp(ctx, r.Members[ahead], others[ahead])
			reached = reached.Add(time.Since(began)) // nobody was asked meanwhile
		}
		if isFatal(err) {
			return false, err
		}
		if ahead < 0 || err != nil {
			t.pause(ctx, heard)
		}
	}
	return false, context.Cause(ctx)
}

// superseded says whether there is a roster to follow other than r.
func (t *Trainer) superseded(r roster.Roster) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, over := t.follow()
	return over || now.Number != r.Number
}

// listen returns the channel that closes at the next news.
func (t *Trainer) listen() chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.changed
}

func (t *Trainer) pause(ctx context.Context, heard chan struct{}) {
	timer := time.NewTimer(helloPause)
	defer timer.Stop()
	select {
	case <-heard:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// hello is what this node says of itself on a roster.
func (t *Trainer) hello(n job.RosterNumber) Hello {
	t.mu.Lock()
	defer t.mu.Unlock()
	return Hello{
		Protocol: Protocol, Node: t.cfg.Self, Roster: n, Identity: t.cfg.Identity, Probe: t.cfg.Probe,
		Step: t.state.Step, Digest: hex.EncodeToString(t.state.Digest[:]),
		Evaluated: t.evaluated, Final: t.final, Saved: t.saved,
	}
}

// askAll says hello to every other member at once. The answer of one who does
// not answer is the zero Hello.
func (t *Trainer) askAll(ctx context.Context, r roster.Roster) (answers []Hello, errs []error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	mine, err := json.Marshal(t.hello(r.Number))
	if err != nil {
		panic(fmt.Sprintf("train: a hello that JSON cannot hold: %v", err))
	}
	answers, errs = make([]Hello, len(r.Members)), make([]error, len(r.Members))
	var wg sync.WaitGroup
	for i, m := range r.Members {
		if m.ID == t.cfg.Self {
			continue
		}
		wg.Go(func() {
			b, err := t.cfg.Links.Ask(ctx, m, verbHello, mine)
			if err == nil {
				err = json.Unmarshal(b, &answers[i])
			}
			if errs[i] = err; err != nil {
				answers[i] = Hello{}
			}
		})
	}
	wg.Wait()
	t.lookUp(answers)
	return answers, errs
}

// lookUp asks the coordinators for news when a peer is on a roster of which
// this node has no text.
func (t *Trainer) lookUp(answers []Hello) {
	for _, h := range answers {
		t.mu.Lock()
		behind := t.lastAsked.Less(h.Roster) && t.forced.Number.Less(h.Roster) && t.planned.Number.Less(h.Roster)
		if behind {
			t.lastAsked = h.Roster
		}
		t.mu.Unlock()
		if behind {
			t.cfg.Reporter.Changed()
		}
	}
}

// answerHello takes another node's hello and gives this node's.
func (t *Trainer) answerHello(from job.NodeID, payload []byte) ([]byte, error) {
	var h Hello
	if err := json.Unmarshal(payload, &h); err != nil {
		return nil, fmt.Errorf("hello from %v: %w", from, err)
	}
	t.mu.Lock()
	if old := t.hellos[from]; old != h {
		t.hellos[from] = h
		t.wake()
	}
	switch {
	case t.riding == nil:
	case t.settled && t.higher(h):
		// V8: a later, higher hello wins over a sum that can never be finished.
		t.endRide(fmt.Errorf("%v stands at step %d already: %w", from, h.Step, errLost))
	case t.goneOn(h):
		t.endRide(fmt.Errorf("%v has gone on to roster %v from step %d: %w", from, h.Roster, h.Step, errLost))
	}
	number := t.current.Number
	t.mu.Unlock()
	t.lookUp([]Hello{h})
	return json.Marshal(t.hello(number))
}

// higher says whether h is of the current roster and from further on. t.mu is held.
func (t *Trainer) higher(h Hello) bool {
	return h.Roster == t.current.Number && h.Step > t.state.Step
}

// goneOn says whether h is of a member that will not take part in the sum under
// way: its older sums have ended, and it has not done this one. (Who has done it
// has sent all that others need of it.) t.mu is held.
func (t *Trainer) goneOn(h Hello) bool {
	return t.current.Has(h.Node) && t.current.Number.Less(h.Roster) && h.Step <= t.state.Step
}

// agreeOn takes from the others what a member that caught up was not told: the
// job's last step, and whether an evaluation has to be done again. It returns
// false when a higher hello has come since theirs: then nothing is agreed.
func (t *Trainer) agreeOn(others []Hello) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range others {
		if h.Node == "" || h.Node == t.cfg.Self {
			continue
		}
		if t.higher(t.hellos[h.Node]) {
			return false
		}
		t.final = min(t.final, h.Final)
		t.evaluated = min(t.evaluated, h.Evaluated)
		t.saved = max(t.saved, h.Saved)
	}
	t.settled = true
	return true
}
