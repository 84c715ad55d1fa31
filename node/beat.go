package node

import (
	"context"
	"encoding/hex"
	"errors"
	"os"
	"sync"
	"time"

	"carillon/job"
	"carillon/roster"
	"carillon/train"
	"carillon/wire"
)

// beatEvery is how often a node reports when nothing happens. What happens
// (a step, a failed sum) is reported at once.
const beatEvery = 100 * time.Millisecond

// report is what a node's next beat says.
type report struct {
	mu      sync.Mutex // guards the fields below
	state   string     // one word for people
	warm    bool
	probed  string
	failure string
	leaving bool
	trainer *train.Trainer // nil before it is ready
	saver   *saver
	records []wire.StepRecord // not acknowledged yet
	known   wire.JobInfo
	welcome welcome
}

var _ train.Reporter = (*node)(nil)

// Stepped keeps a record until the leader has written it.
func (n *node) Stepped(r train.Record) {
	w := wire.StepRecord{
		Step: r.Step, Tail: r.Tail, Norm: r.Norm, LearningRate: r.LearningRate, Epoch: r.Epoch,
		Digest: hex.EncodeToString(r.Digest[:]), Seconds: r.Seconds, SumSeconds: r.SumSeconds,
		BytesSent: r.BytesSent, Roster: r.Roster, Nodes: r.Nodes,
	}
	if r.EvalTail != nil {
		tail := [8]int64(*r.EvalTail)
		w.EvalTail = &tail
	}
	n.mu.Lock()
	n.records = append(n.records, w)
	if r.Seconds > 0 { // it was made here, not fetched
		n.welcome.leftOut = 0
	}
	n.mu.Unlock()
	n.Changed()
}

// Changed makes the next beat come now.
func (n *node) Changed() {
	select {
	case n.poke <- struct{}{}:
	default: // one is due already
	}
}

func (n *node) say(state string) {
	n.mu.Lock()
	n.state = state
	n.mu.Unlock()
	n.log.Info(state)
	n.Changed()
}

// compiled notes that the programs are there, and what kind of backend made them.
func (n *node) compiled(probe string) {
	n.mu.Lock()
	n.warm, n.probed = true, probe
	n.mu.Unlock()
	n.say("compiled")
}

func (n *node) probe() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.probed
}

// ready says that this node can train from now on.
func (n *node) ready(t *train.Trainer, s *saver) {
	n.mu.Lock()
	n.trainer, n.saver = t, s
	n.mu.Unlock()
	n.say("ready")
}

// beat reports to the leader until ctx ends: at every poke, and every beatEvery.
func (n *node) beat(ctx context.Context) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		n.beatOnce(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-n.poke:
		case r := <-n.control.Rosters():
			n.offer(r)
		}
	}
}

func (n *node) beatOnce(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	a, err := n.control.Beat(ctx, n.compose())
	if err == nil {
		n.heed(a)
		return
	}
	n.unanswered() // without a leader there is nobody to tell: the next beat says all again
}

// giveUp ends this node's work, and with the next beat the job, by an error that
// was met beside the steps.
func (n *node) giveUp(err error) {
	n.mu.Lock()
	n.failure = err.Error()
	n.mu.Unlock()
	n.refuse(err)
	n.Changed()
}

// lastBeat tells the coordinators how this node ended.
func (n *node) lastBeat(ctx context.Context, err error) {
	n.mu.Lock()
	n.leaving = true
	if err != nil && ctx.Err() == nil && !errors.Is(err, ErrLeft) {
		n.failure = err.Error()
	}
	n.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastPatience)
	defer cancel()
	n.beatOnce(ctx)
}

// compose makes a beat of how this node stands.
func (n *node) compose() wire.Beat {
	n.mu.Lock()
	defer n.mu.Unlock()
	b := wire.Beat{
		Version: wire.Version, Protocol: train.Protocol, Job: n.cfg.Job, ID: n.id, Name: n.cfg.Name,
		Addr: n.links.Addr(), Host: hostname(), PID: os.Getpid(), State: n.state, Error: n.failure,
		Warm: n.warm, Probe: n.probed, JoinAfter: joinAfter(n.cfg.Drills, n.cfg.Name), Leaving: n.leaving,
		Records: n.records[:min(len(n.records), maxRecords)],
	}
	if n.trainer != nil {
		s := n.trainer.Status()
		b.Ready, b.Roster, b.Step, b.Digest = true, s.Roster, s.Step, hex.EncodeToString(s.Digest[:])
		b.Failed, b.Suspects, b.Finished, b.Holding = s.Failed, s.Suspects, s.Finished, s.Holding
		if e := s.Eval; e.Step > 0 {
			b.Eval = &wire.Evaluation{Step: e.Step, Tail: e.Tail}
		}
		b.Parts, b.LeftOut = n.saver.parts(), n.saver.late()
		b.Identity = n.known.Identity
	}
	return b
}

// maxRecords bounds a beat; the rest follows with the next.
const maxRecords = 200

// heed does what an answer says.
func (n *node) heed(a wire.Answer) {
	n.mu.Lock()
	for len(n.records) > 0 && n.records[0].Step <= a.Recorded {
		n.records = n.records[1:]
	}
	more := len(n.records) > maxRecords
	t, s := n.trainer, n.saver
	n.mu.Unlock()
	if a.Job != nil {
		n.learn(*a.Job)
	}
	if a.Roster != nil {
		n.offer(*a.Roster)
	}
	if t != nil {
		t.Heed(train.Orders{Stop: a.Stop, Save: a.Save, Saved: a.SavedStep, Released: a.Released, WarmFor: warmFor(a)})
		s.heed(a.SavedStep, a.Generation)
		s.wanted(a.WantStep, a.WantChunks)
	}
	if t == nil && a.Released {
		n.refuse(ErrLeft) // the job has ended without it
	}
	n.distrust(a.Revoked)
	if a.Refused != "" {
		n.refuse(errors.New(a.Refused))
	}
	if more {
		n.Changed()
	}
}

// distrust ends what there is between this node and names that were revoked.
func (n *node) distrust(revoked []string) {
	if n.cfg.Identity == nil || !n.cfg.Identity.RevokeAll(revoked) {
		return
	}
	n.links.Expel()
}

func hostname() string {
	h, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return h
}

func joinAfter(drills []job.Drill, name string) uint64 {
	for _, d := range drills {
		if d.Kind == job.Join && d.Target == name {
			return d.Step
		}
	}
	return 0
}

// warmFor is the step after which a drill's joiner may be let in, now that it is warm.
func warmFor(a wire.Answer) uint64 {
	if a.Hold {
		return 0
	}
	return a.HoldAfter
}

// learn keeps what an answer tells of the job.
func (n *node) learn(j wire.JobInfo) {
	n.mu.Lock()
	n.known = j
	n.mu.Unlock()
	select {
	case n.news <- struct{}{}:
	default: // news is waiting to be read
	}
}

// offer hands a roster to the trainer; until there is one, no roster has this node.
func (n *node) offer(r roster.Roster) {
	n.mu.Lock()
	t := n.trainer
	useless := n.cfg.Hub && len(n.cfg.Coordinators) > 1 && !n.leaving && n.welcome.heed(r, n.id)
	n.mu.Unlock()
	if t != nil {
		t.Offer(r)
	}
	if useless {
		n.beginAnew(errUnheard)
	}
}
