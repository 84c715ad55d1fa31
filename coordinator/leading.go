package coordinator

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"carillon/job"
	"carillon/ledger"
	"carillon/wire"
)

// leading is the memory of one coordinator's lead: what the nodes' beats said,
// and how far its own work has come. All but the first fields is guarded by
// Coordinator.mu.
type leading struct {
	term   uint64
	since  time.Time
	keeper sync.WaitGroup
	stop   context.CancelFunc
	due    chan struct{} // tells the keeper to look

	job     job.ID    // that all that follows is about
	turned  time.Time // when it became that
	journal *journal  // used by Run alone; nil before it could be opened

	saved    uint64            // the step that HEAD names
	opened   bool              // HEAD was read, and the store is this ledger's
	troubles map[string]string // what goes wrong again and again, by what it is about
	plans    plans
	records  records
	asked    time.Time // when a save was asked for last, or made
	saveNow  bool      // a save is wanted
	waiting  string    // what roster.Next waits for
	alarm    string    // why the job cannot go on
}

func newLeading(term uint64) *leading {
	l := &leading{term: term, since: time.Now(), due: make(chan struct{}, 1)}
	l.begin("")
	return l
}

// begin makes a job the one that is led.
func (l *leading) begin(id job.ID) {
	l.job, l.turned, l.journal = id, time.Now(), nil
	l.saved, l.opened, l.troubles, l.plans, l.records = 0, false, map[string]string{}, plans{}, newRecords()
	l.asked, l.saveNow, l.waiting, l.alarm = time.Now(), false, "", ""
}

func (l *leading) nudge() {
	select {
	case l.due <- struct{}{}:
	default: // it is about to
	}
}

// records are the steps that were reported and not written yet.
type records struct {
	written uint64                     // every record through this step is in the file
	pending map[uint64]wire.StepRecord // later ones
	gap     time.Time                  // since when a later one waits for the next; zero: none does
	last    *wire.StepRecord           // the newest that was reported
	digests map[uint64]witness         // of the last steps
}

// witness is who said which digest first.
type witness struct {
	digest string
	node   job.NodeID
}

const (
	// keptDigests is for how many steps two nodes' digests are compared.
	keptDigests = 1024
	// gapPatience is how long a record may be missing that nobody has any more:
	// whoever made that step died before it could tell.
	gapPatience = 2 * time.Second
)

func newRecords() records {
	return records{pending: map[uint64]wire.StepRecord{}, digests: map[uint64]witness{}}
}

// hear takes what a beat reports. Two digests of one step are an alarm, which is
// returned.
func (r *records) hear(b wire.Beat) (alarm string) {
	for _, rec := range b.Records {
		if rec.Step > r.written {
			if _, ok := r.pending[rec.Step]; !ok {
				r.pending[rec.Step] = rec
			}
		}
		if r.last == nil || rec.Step > r.last.Step {
			r.last = &rec
		}
		if a := r.compare(b.ID, rec.Step, rec.Digest); a != "" {
			return a
		}
	}
	if b.Step > 0 && b.Ready {
		return r.compare(b.ID, b.Step, b.Digest)
	}
	return ""
}

func (r *records) compare(id job.NodeID, step uint64, digest string) (alarm string) {
	w, ok := r.digests[step]
	switch {
	case !ok:
		r.digests[step] = witness{digest, id}
		delete(r.digests, step-keptDigests)
	case w.digest != digest:
		return fmt.Sprintf("step %d has digest %.16s on %s and %.16s on %s: one of the two machines computes or remembers wrongly", step, w.digest, w.node, digest, id)
	}
	return ""
}

// next takes out the records that follow what is written.
func (r *records) next(now time.Time) (out []wire.StepRecord) {
	at := r.written + 1
	if !r.gap.IsZero() && now.Sub(r.gap) >= gapPatience && len(r.pending) > 0 {
		at = slices.Min(slices.Collect(maps.Keys(r.pending))) // over what nobody has any more
	}
	for ; ; at++ {
		rec, ok := r.pending[at]
		if !ok {
			break
		}
		out = append(out, rec)
	}
	switch {
	case len(out) > 0 || len(r.pending) == 0:
		r.gap = time.Time{}
	case r.gap.IsZero():
		r.gap = now
	}
	return out
}

// rest takes out all records that were not written, over what is missing.
func (r *records) rest() (out []wire.StepRecord) {
	for _, step := range slices.Sorted(maps.Keys(r.pending)) {
		out = append(out, r.pending[step])
	}
	return out
}

// wrote notes that the file holds every record through step.
func (r *records) wrote(step uint64) {
	r.written = max(r.written, step)
	for s := range r.pending {
		if s <= r.written {
			delete(r.pending, s)
		}
	}
}

// eval returns the evaluation after a step, if it was reported.
func (r *records) eval(step uint64) *ledger.Eval {
	if rec := r.last; rec != nil && rec.Step == step && rec.EvalTail != nil {
		return &ledger.Eval{Step: step, Tail: *rec.EvalTail}
	}
	return nil
}
