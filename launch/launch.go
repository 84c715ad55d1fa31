// Package launch runs a whole job on this machine: coordinators and nodes as
// processes of their own, a folder or a bucket as the object store.
//
// # How
//
// Run starts the processes at once, so that they compile while the data set is
// being tokenized, submits the job, and then only looks on: at the coordinators'
// status, for whoever watches, and at its children. When the job has ended it
// exports the final checkpoint from the store, never from a node's memory.
//
// # Failure
//
// A node that ends before the job does is reported, and the others go on; so
// does the job while one node and a majority of the coordinators live. A
// coordinator that ends is started again with its folder and ports. Children end
// when this process does, a SIGKILL included; then the same job is gone on with
// by Resume, from what HEAD names.
//
// # Who decides
//
// The coordinators. This package makes no decision about a job.
package launch

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"carillon/checkpoint"
	"carillon/coordinator"
	"carillon/corpus"
	"carillon/export"
	"carillon/job"
	"carillon/model"
	"carillon/objstore"
	"carillon/objstore/open"
	"carillon/wire"
)

// Config is what to run, and how.
type Config struct {
	Job          job.ID
	Spec         job.Spec // Nodes, OutputDir and Store count
	Coordinators int      // one or three
	Drills       []job.Drill
	Resume       bool
	Command      []string // this program: executable and arguments before the verb
	NodeFlags    []string // for every node: the compute backend
	Kind         string   // of that backend
	Force        bool     // start it even if it does not fit the machine's memory
	Data         *Data    // nil: Prepare is called while the nodes compile
	View         View
	EndWithCtx   bool          // Submit: when its context ends, so does the job, with a checkpoint
	Notices      <-chan string `json:"-"` // news from elsewhere to show while it trains, or nil
	Log          *slog.Logger
}

// Leave is the cause with which the context of Run ends where this machine is going to be
// taken away: as when it just ends, the job is saved first, and its reason is shown.
type Leave struct{ Reason string }

func (l *Leave) Error() string { return l.Reason }

// View is shown what happens. Its methods are called from one goroutine.
type View interface {
	Note(text string) // news: a line, or a table
	Progress(what string, done, total int)
	Status(s coordinator.Status)
}

// Result is what a job came to.
type Result struct {
	Job             job.ID   `json:"job"`
	AdapterSHA256   string   `json:"adapter_sha256"` // of the exported weights
	Digest          string   `json:"digest"`         // of the final state
	Identity        string   `json:"identity"`
	Steps           uint64   `json:"steps"`
	Stopped         bool     `json:"stopped"`                 // ended before its last step, on request
	EarlyStopped    bool     `json:"early_stopped,omitempty"` // ended because it did not get better
	BestStep        uint64   `json:"best_step,omitempty"`     // of the state that was exported, with load_best_model_at_end
	Loss            float64  `json:"loss"`                    // per token, of the last step
	HeldOutLoss     *float64 `json:"held_out_loss,omitempty"` // per token, of the last evaluation, or of the best
	TokensPerSecond float64  `json:"tokens_per_second"`
	BytesPerStep    float64  `json:"bytes_per_step"` // sent by one node, on the average
	FirstStep       float64  `json:"first_step_seconds"`
	Seconds         float64  `json:"seconds"`
	PeakBytes       int64    `json:"peak_bytes"` // of memory, of the node that took most
	Nodes           int      `json:"nodes"`
	Rosters         []string `json:"rosters"` // why each came
	OutputDir       string   `json:"output_dir"`
	Export          string   `json:"export"` // folder of the adapter or model
}

// Folders and files of an output directory.
const (
	StoreDir    = "store"
	LogDir      = "logs"
	AdapterDir  = "adapter"
	ModelDir    = "model"
	MetricsFile = "metrics.jsonl"
)

// run is a job being run.
type run struct {
	Config
	dir     string // absolute OutputDir
	at      string // address of the store
	base    model.Facts
	goesOn  bool             // from a checkpoint
	begins  export.Beginning // what it is before the first step, if it does not
	reading *corpus.Reading  // the data, where it had to be read before anything starts
	store   objstore.Store
	began   time.Time
	*fleet
}

// Run runs a job to its end. When ctx ends while it trains, it asks for a
// checkpoint and the end, and a Result with Stopped set comes back.
func Run(ctx context.Context, cfg Config) (Result, error) {
	r, err := newRun(ctx, cfg)
	if err != nil {
		return Result{}, err
	}
	if err := r.fits(ctx); err != nil {
		return Result{}, err
	}
	unlock, err := r.open(ctx)
	if err != nil {
		return Result{}, err
	}
	defer unlock()
	return r.run(ctx)
}

// newRun makes a run of what can be run, as far as that is known before anything is
// written or started.
func newRun(ctx context.Context, cfg Config) (*run, error) {
	r := &run{Config: cfg, began: time.Now()}
	if r.Spec.Nodes == 0 {
		r.Spec.Nodes = 1
	}
	var err error
	if r.dir, err = filepath.Abs(cfg.Spec.OutputDir); err != nil {
		return nil, err
	}
	if r.at, err = open.Absolute(cmp.Or(cfg.Spec.Store, filepath.Join(r.dir, StoreDir))); err != nil {
		return nil, err
	}
	return r, r.check(ctx)
}

// check refuses what can be known to be wrong before anything is written or started.
func (r *run) check(ctx context.Context) (err error) {
	if err := checkDrills(r.Spec, r.Drills); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(r.dir, StoreDir)); r.Resume && r.Spec.Store == "" && err != nil {
		return fmt.Errorf("%s: there is no run to resume here: start one without --resume, or name its output directory with --out", r.dir)
	}
	if err := r.resolve(ctx); err != nil {
		return err
	}
	if r.base, err = model.Inspect(ctx, r.Spec); err != nil {
		return err
	}
	if err := r.begin(); err != nil {
		return err
	}
	if _, err := openTokenizer(r.Spec, r.base); err != nil {
		return err
	}
	if spare := r.Spec.Nodes - r.Spec.Lanes; spare > 0 {
		r.View.Note(fmt.Sprintf("%d nodes for %d lanes: %d will be warm spares, which take over when another is lost", r.Spec.Nodes, r.Spec.Lanes, spare))
	}
	return nil
}

// open makes or takes the output directory, for one process at a time.
func (r *run) open(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(filepath.Join(r.dir, LogDir), 0o755); err != nil {
		return nil, err
	}
	lock := flock.New(filepath.Join(r.dir, "lock"))
	switch ok, err := lock.TryLock(); {
	case err != nil:
		return nil, fmt.Errorf("lock the output directory: %w", err)
	case !ok:
		return nil, fmt.Errorf("%s: another carillon is running in this output directory; choose another --out, or wait", r.dir)
	}
	unlock = func() { _ = lock.Close() }
	if err = r.openStore(ctx); err == nil {
		err = r.compareWithStore(ctx)
	}
	if err != nil {
		unlock()
		return nil, err
	}
	return unlock, nil
}

// openStore opens the store, and makes sure that it keeps what checkpoints count on.
func (r *run) openStore(ctx context.Context) (err error) {
	if r.store, err = open.Now(ctx, r.at); err != nil {
		return err
	}
	switch err := objstore.Broken(objstore.Probe(ctx, r.store)); {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, objstore.ErrTemporary):
		return err
	case err != nil:
		return fmt.Errorf("the store %s cannot keep checkpoints (carillon store check says more): %w", r.at, err)
	}
	return nil
}

// compareWithStore makes sure that what is in the store is this job, if this is
// to go on with it, and that nothing is there if not.
func (r *run) compareWithStore(ctx context.Context) error {
	m, err := newest(ctx, r.store, r.Job)
	if errors.Is(err, objstore.ErrNotExist) {
		if r.Resume {
			r.View.Note("no checkpoint yet: starting from step 0")
		}
		return r.forgetMetrics()
	}
	if err != nil {
		return err
	}
	if !r.Resume {
		return fmt.Errorf("%s holds a checkpoint of step %d already: go on with --resume, or choose another %s", r.place(), m.Step, r.placeFlag())
	}
	saved, err := job.DecodeSpec(m.Spec)
	if err != nil {
		return err
	}
	if diff := r.Spec.IdentityDiff(saved); len(diff) > 0 {
		return fmt.Errorf("%s holds another job: %s; change the recipe back, or choose another %s", r.place(), diff[0], r.placeFlag())
	}
	if want := hex.EncodeToString(r.base.Hash[:]); m.BaseHash != want {
		return fmt.Errorf("%s was trained on another base model (hash %.16s) than %s is now (%.16s)", r.place(), m.BaseHash, r.Spec.BaseModel, want)
	}
	if m, err = r.recover(ctx, m); err != nil {
		return err
	}
	return r.dataOf(ctx, m)
}

// recover makes sure that the newest checkpoint is whole, or goes back to one that is.
func (r *run) recover(ctx context.Context, m checkpoint.Manifest) (checkpoint.Manifest, error) {
	back, err := checkpoint.Recover(ctx, r.store, r.Job)
	if err != nil {
		return m, fmt.Errorf("the newest checkpoint: %w", err)
	}
	if back == nil {
		return m, nil
	}
	r.View.Note(fmt.Sprintf("the checkpoint %s is damaged (%v): GOING BACK to %s, %d STEPS ARE LOST and made again", back.From, back.Damage, back.To, back.Lost))
	return checkpoint.Latest(ctx, r.store, r.Job)
}

// place is where the run is kept, and placeFlag what chooses another, for messages.
func (r *run) place() string { return cmp.Or(r.Spec.Store, r.dir) }

func (r *run) placeFlag() string {
	if r.Spec.Store != "" {
		return "--store"
	}
	return "--out"
}

// dataOf takes the data set from the store: a job that goes on never reads the
// source again.
func (r *run) dataOf(ctx context.Context, m checkpoint.Manifest) error {
	d, err := fetchData(ctx, r.store, m.DataHash, r.dir)
	if err != nil {
		return fmt.Errorf("the data set of the job: %w", err)
	}
	r.Data = d
	r.View.Note(fmt.Sprintf("going on from the checkpoint of step %d", m.Step))
	return nil
}

// forgetMetrics removes what a run without a checkpoint left.
func (r *run) forgetMetrics() error {
	err := os.Remove(filepath.Join(r.dir, MetricsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// run starts the processes, submits the job in two parts, looks on, and exports.
func (r *run) run(ctx context.Context) (Result, error) {
	var err error
	if r.fleet, err = startFleet(r); err != nil {
		return Result{}, err
	}
	defer r.fleet.stop()
	control, err := wire.Dial(wire.ControlConfig{Coordinators: r.fleet.addresses(), Job: r.Job, Log: r.Log})
	if err != nil {
		return Result{}, err
	}
	defer control.Close()
	info := wire.JobInfo{ID: r.Job, Spec: r.Spec.Encode(), Store: r.at, Drills: r.Drills}
	if err := r.submit(ctx, control, info); err != nil {
		return Result{}, err
	}
	if err := r.prepare(ctx, &info); err != nil {
		return Result{}, err
	}
	if err := r.failed(ctx, control); err != nil {
		return Result{}, err
	}
	if err := r.submit(ctx, control, info); err != nil {
		return Result{}, err
	}
	w, err := r.watch(ctx, control)
	if err != nil {
		return Result{}, err
	}
	return r.result(context.WithoutCancel(ctx), w, info)
}

// submitPatience is how long the coordinators may take to elect a leader.
const submitPatience = time.Minute

func (r *run) submit(ctx context.Context, c *wire.Control, info wire.JobInfo) error {
	ctx, cancel := context.WithTimeout(ctx, submitPatience)
	defer cancel()
	if r.fleet != nil {
		var stop func()
		ctx, stop = r.fleet.whileCoordinated(ctx)
		defer stop()
	}
	b, err := json.Marshal(info)
	if err != nil {
		return err
	}
	if _, err := c.Request(ctx, coordinator.VerbSubmit, b); err != nil {
		return fmt.Errorf("submit the job: %w", cmp.Or(context.Cause(ctx), err))
	}
	return nil
}

// failed returns the error of a node that could not load or compile, if one of
// them has ended the job already: the rest of a submission would open it again.
func (r *run) failed(ctx context.Context, c *wire.Control) error {
	s, err := r.look(ctx, c)
	if err != nil || s.Phase != coordinator.PhaseFailed {
		return nil // watch looks again
	}
	return errors.New(s.End.Error)
}

// prepare makes the data set if there is none yet, and fills in what follows from it.
func (r *run) prepare(ctx context.Context, info *wire.JobInfo) error {
	if r.Data == nil {
		d, err := prepare(ctx, r.Spec, r.base, r.reading, r.dir, corpus.Progress(r.View.Progress))
		if err != nil {
			return err
		}
		r.Data = d
		r.View.Note(d.Report.String())
	}
	if r.Spec.LoadBestModelAtEnd && r.Data.HeldOut == 0 {
		return errors.New("load_best_model_at_end: no example is held out to tell the best state by; set val_set_size or test_datasets")
	}
	if err := errors.Join(r.Data.put(ctx, r.store), r.putBeginning(ctx)); err != nil {
		return err
	}
	identity := r.Spec.Identity(r.base.Hash, r.Data.Hash)
	info.Identity, info.DataHash = hex.EncodeToString(identity[:]), r.Data.Hash.String()
	info.BaseHash, info.Steps = hex.EncodeToString(r.base.Hash[:]), r.Spec.TotalSteps(r.Data.Train)
	var err error
	info.Params, err = json.Marshal(r.trainables())
	return err
}

// result exports the last checkpoint and sums up.
func (r *run) result(ctx context.Context, w watched, info wire.JobInfo) (Result, error) {
	name := AdapterDir
	if export.MakesModel(r.Spec) {
		name = ModelDir
	}
	out := filepath.Join(r.dir, name)
	e, err := export.FromStore(ctx, r.store, r.Job, out, "")
	if err != nil {
		return Result{}, fmt.Errorf("export: %w", err)
	}
	m, err := checkpoint.Latest(ctx, r.store, r.Job)
	if err != nil {
		return Result{}, err
	}
	res := w.result()
	res.Job, res.AdapterSHA256, res.Steps, res.Digest, res.Identity = r.Job, e.SHA256, m.Step, m.Digest, info.Identity
	res.Stopped = m.Step < info.Steps
	if v := m.Verdict; v != nil {
		loss := coordinator.MeanLoss(v.Best.Tail)
		res.BestStep, res.HeldOutLoss, res.EarlyStopped = e.Step, &loss, r.Spec.Exhausted(v.Since)
		res.Stopped = res.Stopped && !res.EarlyStopped
	}
	res.Nodes, res.OutputDir, res.Export = r.Spec.Nodes, r.dir, out
	res.Seconds, res.PeakBytes = time.Since(r.began).Seconds(), r.fleet.peak()
	return res, nil
}
