package launch

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"carillon/coordinator"
	"carillon/job"
	"carillon/wire"
)

// watched is what was seen of a run.
type watched struct {
	told    []string      // errors of nodes and coordinators that were shown
	advised string        // the last advice shown
	first   time.Duration // from the start to the first finished step
	last    coordinator.Status
	rosters []string
	joined  map[string]bool // names that were members
	loss    float64
	heldOut *float64
	seconds float64 // of all steps
	tokens  int64
	bytes   uint64
	steps   int
}

const (
	// lookEvery is how often the status is asked for.
	lookEvery = 100 * time.Millisecond
	// leaderPatience is how long the coordinators may be without a leader.
	leaderPatience = time.Minute
	// endPatience is how long the coordinators may take to note the end of a job
	// whose nodes have ended.
	endPatience = 3 * time.Second
)

// watch looks on until the job has ended. When ctx ends it asks for the end.
func (r *run) watch(ctx context.Context, c *wire.Control) (watched, error) {
	asking := context.WithoutCancel(ctx)
	w := watched{joined: map[string]bool{}}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	answered, lived, asked := time.Now(), time.Now(), false
	for {
		r.fleet.weigh()
		ended := r.fleet.ended() // before the look: who has ended has told the coordinators why
		if ctx.Err() != nil && !asked {
			asked = r.askToStop(ctx, c)
		}
		select {
		case text := <-r.Notices:
			r.View.Note(text)
		default:
		}
		s, err := r.look(asking, c)
		if err == nil {
			answered = time.Now()
			w.see(s, r)
			r.View.Status(s)
		}
		if w.over() {
			return w, cmp.Or(w.failure(), w.unfired(r), w.read(filepath.Join(r.dir, MetricsFile)))
		}
		if len(ended) < len(r.fleet.nodes) {
			lived = time.Now()
		}
		switch {
		case asked && err == nil && len(s.Roster.Members) == 0:
			return w, context.Cause(ctx) // nothing was begun: nothing is lost
		case time.Since(answered) > leaderPatience:
			return w, fmt.Errorf("no coordinator has answered for %v: %w%s", leaderPatience, err, r.fleet.obituary())
		case time.Since(lived) > endPatience:
			return w, fmt.Errorf("all nodes have ended%s", r.fleet.obituary())
		}
		if err := r.fleet.tend(ended, w.last.Errors, r.View.Note); err != nil {
			return w, err
		}
		<-tick.C
	}
}

func (r *run) look(ctx context.Context, c *wire.Control) (coordinator.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var s coordinator.Status
	id, err := json.Marshal(r.Job)
	if err != nil {
		return s, err
	}
	b, err := c.Request(ctx, coordinator.VerbStatus, id)
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	return s, err
}

// askToStop asks the leader to end the job, as ctx did, and says whether it heard.
func (r *run) askToStop(ctx context.Context, c *wire.Control) bool {
	reason := "asked by the user"
	var leave *Leave
	if errors.As(context.Cause(ctx), &leave) {
		reason = leave.Reason
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	b, err := json.Marshal(coordinator.StopRequest{Job: r.Job, Reason: reason})
	if err == nil {
		_, err = c.Request(ctx, coordinator.VerbStop, b)
	}
	if err != nil {
		return false
	}
	if leave != nil {
		r.View.Note(reason)
	}
	r.View.Note("stopping after this step, with a checkpoint; once more to stop at once")
	return true
}

// see notes what is new in a status.
func (w *watched) see(s coordinator.Status, r *run) {
	if w.first == 0 && s.Step > 0 {
		w.first = time.Since(r.began)
	}
	for _, c := range s.Rosters {
		line := fmt.Sprintf("roster %v: %s", c.Number, c.Reason)
		if !slices.Contains(w.rosters, line) {
			w.rosters = append(w.rosters, line)
			r.View.Note(line)
		}
	}
	for _, m := range s.Roster.Members {
		w.joined[m.Name] = true
	}
	for _, e := range s.Errors { // seen twice: one that ends the job is told at its end
		if slices.Contains(w.last.Errors, e) && !slices.Contains(w.told, e) {
			w.told = append(w.told, e)
			r.View.Note(e)
		}
	}
	if s.Advice != "" && s.Advice != w.advised {
		w.advised = s.Advice
		r.View.Note(s.Advice)
	}
	w.last = s
}

func (w *watched) over() bool {
	return w.last.Phase == coordinator.PhaseEnded || w.last.Phase == coordinator.PhaseFailed
}

func (w *watched) failure() error {
	if w.last.Phase != coordinator.PhaseFailed {
		return nil
	}
	return errors.New(w.last.End.Error)
}

// read sums up the metrics file.
func (w *watched) read(path string) error {
	metrics, err := Metrics(path)
	if err != nil {
		return err
	}
	for _, m := range metrics {
		w.steps++
		w.seconds += m.Seconds
		w.tokens += m.Tokens
		w.bytes += m.BytesSent
		w.loss = m.Loss
		if m.EvalLoss != nil {
			w.heldOut = m.EvalLoss
		}
	}
	return nil
}

// Metrics reads a metrics file.
func Metrics(path string) ([]coordinator.Metrics, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var out []coordinator.Metrics
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var m coordinator.Metrics
		if err := json.Unmarshal(lines.Bytes(), &m); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, len(out)+1, err)
		}
		out = append(out, m)
	}
	return out, lines.Err()
}

func (w *watched) result() Result {
	res := Result{Loss: w.loss, HeldOutLoss: w.heldOut, FirstStep: w.first.Seconds(), Rosters: w.rosters}
	if w.steps > 0 && w.seconds > 0 {
		res.TokensPerSecond = float64(w.tokens) / w.seconds
		res.BytesPerStep = float64(w.bytes) / float64(w.steps)
	}
	return res
}

// unfired names a drill that did not happen, as an error, unless the job was
// stopped before its last step.
func (w *watched) unfired(r *run) error {
	if w.last.End.Step < w.last.Steps {
		return nil
	}
	for _, d := range r.Drills {
		fired := slices.Contains(w.last.Fired, d)
		switch {
		case d.Kind == job.Join:
			fired = w.joined[d.Target]
		case d.Target != job.Coordinator:
			fired = r.fleet.killed(d.Target)
		}
		if !fired {
			return fmt.Errorf("drill %v has not fired in %d steps", d, w.last.Step)
		}
	}
	return nil
}
