package launch

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"carillon/basemodel"
	"carillon/coordinator"
	"carillon/job"
	"carillon/model"
	"carillon/wire"
)

// Submit gives a job to a cluster: what it needs goes into the cluster's store, by its
// hashes, and then the coordinators are told. With wait it looks on until the job has
// ended, and exports what it came to; when ctx ends before, the job goes on.
func Submit(ctx context.Context, cfg Config, c *wire.Control, wait bool) (Result, error) {
	r, unlock, err := newSubmission(ctx, cfg, c)
	if err != nil {
		return Result{}, err
	}
	defer unlock()
	info := wire.JobInfo{ID: r.Job, Spec: r.Spec.Encode(), Store: r.at}
	if err := r.prepare(ctx, &info); err != nil {
		return Result{}, err
	}
	if info.Model, err = r.putModel(ctx); err != nil {
		return Result{}, err
	}
	if err := r.submit(ctx, c, info); err != nil {
		return Result{}, err
	}
	if !wait {
		return Result{Job: r.Job, Identity: info.Identity, OutputDir: r.dir}, nil
	}
	w, err := r.follow(ctx, c)
	if err != nil {
		return Result{}, err
	}
	return r.result(context.WithoutCancel(ctx), w, info)
}

// newSubmission makes a run of what can be submitted.
func newSubmission(ctx context.Context, cfg Config, c *wire.Control) (*run, func(), error) {
	if cfg.Spec.Method == "feature" {
		return nil, nil, errors.New("method feature reads its texts on one machine: carillon train does it")
	}
	cluster, err := askCluster(ctx, c, cfg.Job)
	if err != nil {
		return nil, nil, err
	}
	cfg.Spec.Store = cluster.Store
	// Whoever is ready ten seconds after min_nodes are begins.
	cfg.Spec.Nodes = cmp.Or(cfg.Spec.MaxNodes, cfg.Spec.Lanes)
	r, err := newRun(ctx, cfg)
	if err != nil {
		return nil, nil, err
	}
	unlock, err := r.open(ctx)
	return r, unlock, err
}

// askCluster asks where the cluster keeps jobs, and makes sure that it has no job of
// that name under way.
func askCluster(ctx context.Context, c *wire.Control, id job.ID) (cluster coordinator.Cluster, err error) {
	ctx, cancel := context.WithTimeout(ctx, submitPatience)
	defer cancel()
	if err := request(ctx, c, coordinator.VerbCluster, &cluster); err != nil {
		return cluster, err
	}
	var jobs []coordinator.JobLine
	if err := request(ctx, c, coordinator.VerbJobs, &jobs); err != nil {
		return cluster, err
	}
	for _, j := range jobs {
		if j.ID == id && j.Phase != coordinator.PhaseEnded && j.Phase != coordinator.PhaseFailed {
			return cluster, fmt.Errorf("job %s is there already, %s: choose another --name, or end it with carillon cancel %s", id, j.Phase, id)
		}
	}
	return cluster, nil
}

func request(ctx context.Context, c *wire.Control, verb string, answer any) error {
	b, err := c.Request(ctx, verb, nil)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, answer)
}

// putModel stores the base model.
func (r *run) putModel(ctx context.Context) (hash string, err error) {
	names, err := model.Files(r.Spec.BaseModel, model.Options{ReinitWeights: r.Spec.ReinitWeights})
	if err != nil {
		return "", err
	}
	return basemodel.Put(ctx, r.store, r.Spec.BaseModel, names, func(done, total int64) {
		r.View.Progress("base model to the store, MB", int(done/1e6), int(total/1e6))
	})
}

// ErrGoesOn is the error of who stops to look at a job before it has ended.
var ErrGoesOn = errors.New("the job goes on")

// follow looks on until the job has ended.
func (r *run) follow(ctx context.Context, c *wire.Control) (watched, error) {
	asking := context.WithoutCancel(ctx)
	w := watched{joined: map[string]bool{}}
	tick := time.NewTicker(followEvery)
	defer tick.Stop()
	answered, asked := time.Now(), false
	for {
		switch {
		case ctx.Err() != nil && !r.EndWithCtx:
			return w, fmt.Errorf("%w; carillon status shows how, carillon cancel %s ends it", ErrGoesOn, r.Job)
		case ctx.Err() != nil && !asked:
			asked = r.askToStop(ctx, c)
		}
		select {
		case text := <-r.Notices:
			r.View.Note(text)
		default:
		}
		s, err := r.look(asking, c)
		switch {
		case err == nil:
			answered = time.Now()
			w.see(s, r)
			r.View.Status(s)
		case time.Since(answered) > leaderPatience:
			return w, fmt.Errorf("no coordinator has answered for %v: %w", leaderPatience, err)
		}
		if w.over() {
			return w, cmp.Or(w.failure(), r.fetchMetrics(asking, c), w.read(filepath.Join(r.dir, MetricsFile)))
		}
		select {
		case <-tick.C:
		case <-r.ended(ctx):
		}
	}
}

// ended is closed when nobody wants to look on any more.
func (r *run) ended(ctx context.Context) <-chan struct{} {
	if r.EndWithCtx {
		return nil
	}
	return ctx.Done()
}

// followEvery is how often the status of a cluster's job is asked for.
const followEvery = 500 * time.Millisecond

// fetchMetrics writes the job's metrics into the output directory.
func (r *run) fetchMetrics(ctx context.Context, c *wire.Control) error {
	lines, err := FetchMetrics(ctx, c, r.Job, 0)
	if errors.Is(err, ErrPartial) {
		r.View.Note("metrics: " + err.Error())
	} else if err != nil {
		return err
	}
	var text []byte
	for _, l := range lines {
		b, err := json.Marshal(l)
		if err != nil {
			return err
		}
		text = append(append(text, b...), '\n')
	}
	return os.WriteFile(filepath.Join(r.dir, MetricsFile), text, 0o644)
}

// FetchMetrics collects the lines of a job's metrics after a step from all coordinators:
// each has what it wrote while it led.
func FetchMetrics(ctx context.Context, c *wire.Control, id job.ID, after uint64) ([]coordinator.Metrics, error) {
	lines, silent := map[uint64]coordinator.Metrics{}, error(nil)
	for more := true; more; {
		payload, err := json.Marshal(coordinator.MetricsRequest{Job: id, After: after})
		if err != nil {
			return nil, err
		}
		answers, err := c.Each(ctx, wire.Users, coordinator.VerbMetrics, payload)
		if err != nil && len(answers) == 0 {
			return nil, err
		}
		silent = cmp.Or(silent, err)
		if more, err = merge(lines, answers, &after); err != nil {
			return nil, err
		}
	}
	all := make([]coordinator.Metrics, 0, len(lines))
	for _, m := range lines {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b coordinator.Metrics) int { return cmp.Compare(a.Step, b.Step) })
	if silent != nil {
		silent = fmt.Errorf("%w: %w", ErrPartial, silent)
	}
	return all, silent
}

// ErrPartial is in the chain of FetchMetrics' error where a coordinator does not answer:
// steps that it wrote may be missing among those that are returned.
var ErrPartial = errors.New("not every coordinator answers, steps may be missing")

// merge adds the answers of several coordinators, and says whether there may be more
// after the step that all of them have reached.
func merge(lines map[uint64]coordinator.Metrics, answers [][]byte, after *uint64) (more bool, err error) {
	reached := uint64(0)
	for _, a := range answers {
		last := uint64(0)
		for line := range strings.Lines(string(a)) {
			var m coordinator.Metrics
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				return false, fmt.Errorf("metrics: %w", err)
			}
			lines[m.Step], last = m, m.Step
		}
		if last > *after && (reached == 0 || last < reached) {
			reached = last // another may have more before the next one's
		}
	}
	more = reached > *after
	*after = max(*after, reached)
	return more, nil
}
