// Package node is a trainer's process from its first beat to its leave: it
// opens the outside things (links, coordinators, compute backend, store) and
// hands them to package train. It holds no rules.
//
// # How
//
// A node knows the coordinators' addresses and the job's id, nothing more. It
// starts to beat at once; the answers tell it the job, so that it loads the
// base model and compiles while the shards are still being built. When the
// shards' hash is known it fetches them from the store, takes the newest
// checkpoint if there is one, says that it is ready, and from then on does what
// rosters say.
//
// # Failure
//
// What no other roster would mend goes into the last beats, with which the
// coordinators end the job, and is returned. Anything else is mended by the
// next roster. A node that is killed says nothing, and need not.
package node

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"carillon/backend"
	"carillon/basemodel"
	"carillon/checkpoint"
	"carillon/job"
	"carillon/model"
	"carillon/objstore"
	"carillon/objstore/open"
	"carillon/pki"
	"carillon/shard"
	"carillon/train"
	"carillon/wire"
)

// Config is what a node is started with.
type Config struct {
	Job          job.ID
	Name         string        // of the machine or process, for people; unique in the job
	Coordinators []string      // NATS addresses of all of them
	Listen       string        // of its own server; "": any free port of loopback
	Advertise    string        // host under which other nodes reach it; "": as it listens
	Hub          bool          // it listens nowhere: others reach it through a coordinator
	Identity     *pki.Identity // nil: only on loopback, and nothing is encrypted
	Leave        <-chan string // why it is to leave, once; nil: it never is
	Backend      backend.Options
	Cache        string // folder for shards that were fetched
	Weights      string // folder for weights that all nodes of this machine map; "": this one has its own copy
	Drills       []job.Drill
	Log          *slog.Logger
}

// Run trains until the job has ended, it has left, or ctx ends.
func Run(ctx context.Context, cfg Config) error {
	n := &node{cfg: cfg, id: job.NewNodeID(cfg.Name), poke: make(chan struct{}, 1), news: make(chan struct{}, 1)}
	n.log = cfg.Log.With(job.KeyNode, n.id)
	ctx, n.refuse = context.WithCancelCause(ctx)
	defer n.refuse(nil)
	lc := wire.Config{Job: cfg.Job, Self: n.id, Listen: cmp.Or(cfg.Listen, "127.0.0.1:0"), Advertise: cfg.Advertise, Identity: cfg.Identity, Log: n.log}
	if cfg.Hub {
		lc.Hubs, lc.Parted = cfg.Coordinators, n.refuse
	}
	cc := wire.ControlConfig{Coordinators: cfg.Coordinators, Job: cfg.Job, Self: n.id, Log: n.log}
	if cfg.Identity != nil {
		cc.TLS = cfg.Identity.Client(pki.Coordinator)
	}
	p, err := n.connect(ctx, lc, cc)
	if err != nil {
		return err
	}
	defer p.close()
	n.links, n.control = p.links, p.control

	beating, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() { defer close(done); n.beat(beating) }()
	err = n.workOrLeave(ctx)
	n.lastBeat(ctx, err)
	stop()
	<-done
	return err
}

// node is a running node.
type node struct {
	cfg     Config
	id      job.NodeID
	log     *slog.Logger
	links   *wire.Links
	control *wire.Control
	poke    chan struct{}
	news    chan struct{}           // more is known of the job
	refuse  context.CancelCauseFunc // ends work: a coordinator will not have this node

	report // what the next beat says
}

// work is the node's life between its first beat and its last.
func (n *node) work(ctx context.Context) error {
	info, err := n.await(ctx, func(j wire.JobInfo) bool { return len(j.Spec) > 0 })
	if err != nil {
		return err
	}
	spec, err := job.DecodeSpec(info.Spec)
	if err != nil {
		return err
	}
	if spec.BaseModel, err = n.baseModel(ctx, spec, info); err != nil {
		return err
	}
	l, err := n.compile(ctx, spec)
	if err != nil {
		return err
	}
	defer l.close()
	if info, err = n.await(ctx, func(j wire.JobInfo) bool { return j.DataHash != "" }); err != nil {
		return err
	}
	store, err := open.Store(ctx, info.Store)
	if err != nil {
		return err
	}
	data, err := n.fetchShard(ctx, store, info.DataHash)
	if err != nil {
		return err
	}
	defer data.Close()
	return n.train(ctx, spec, info, l, store, data)
}

// baseModel returns the folder of the base model: the recipe's own where the job is of
// this machine, else what is fetched from the store.
func (n *node) baseModel(ctx context.Context, spec job.Spec, info wire.JobInfo) (string, error) {
	if info.Model == "" {
		return spec.BaseModel, nil
	}
	n.say("fetching")
	store, err := open.Store(ctx, info.Store)
	if err != nil {
		return "", err
	}
	return basemodel.Get(ctx, store, info.Model, filepath.Join(n.cfg.Cache, "models"), func(int64, int64) { n.Changed() })
}

// train runs the trainer, which is told of rosters and orders by the beats.
func (n *node) train(ctx context.Context, spec job.Spec, info wire.JobInfo, l *learner, store objstore.Store, data *shard.Set) error {
	identity := spec.Identity(l.model.Hash(), data.Hash())
	if got := hex.EncodeToString(identity[:]); got != info.Identity {
		return fmt.Errorf("this node makes job identity %.16s of the recipe, base model and data, the coordinator %.16s: is base_model %s the same directory on both?", got, info.Identity, spec.BaseModel)
	}
	restore := func(ctx context.Context) (train.State, error) {
		return restore(ctx, store, n.cfg.Job, l.session.Size())
	}
	start, err := restore(ctx)
	if errors.Is(err, objstore.ErrNotExist) {
		start, err = initial(ctx, spec, store, identity, l, data.Hash())
	}
	if err != nil {
		return err
	}
	saver := newSaver(n.cfg.Job, store, info.Generation, l.session.Size(), Copies(spec), n.log, n.Changed, n.giveUp)
	defer saver.wait()
	t, err := train.New(train.Config{
		Job: n.cfg.Job, Self: n.id, Spec: spec, Steps: info.Steps, Identity: info.Identity, Probe: n.probe(),
		Params: l.params(), Start: start,
		Learner: l, Data: data, Plan: shard.PlanOf(spec), Links: links{n.links}, Reporter: n, Saver: saver,
		Restore: restore,
		KillAt:  killAt(n.cfg.Drills, n.cfg.Name), Kill: killSelf,
		HoldAfter: holdAfter(n.cfg.Drills),
		Log:       n.log,
	})
	if err != nil {
		return err
	}
	n.ready(t, saver)
	if err = t.Run(ctx); errors.Is(err, train.ErrUnreached) {
		n.beginAnew(err)
	}
	return err
}

// await waits until what is known of the job is enough.
func (n *node) await(ctx context.Context, enough func(wire.JobInfo) bool) (wire.JobInfo, error) {
	for {
		n.mu.Lock()
		j := n.known
		n.mu.Unlock()
		if enough(j) {
			return j, nil
		}
		select {
		case <-n.news:
		case <-ctx.Done():
			return wire.JobInfo{}, context.Cause(ctx)
		}
	}
}

// fetchShard opens the shard in the cache, and gets it from the store where it is
// missing or damaged there. What comes is checked before it is kept.
func (n *node) fetchShard(ctx context.Context, store objstore.Store, hash string) (*shard.Set, error) {
	if err := os.MkdirAll(n.cfg.Cache, 0o755); err != nil {
		return nil, err
	}
	path := filepath.Join(n.cfg.Cache, hash+".shard")
	s, err := shard.OpenAs(path, hash)
	if err == nil {
		return s, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		n.log.Warn("cannot use the shard in the cache; fetching it again", "error", err)
	}
	key := checkpoint.ShardKey(hash)
	r, _, err := store.Get(ctx, key, 0, -1)
	if err != nil {
		return nil, fmt.Errorf("fetch shard %.16s from the store: %w", hash, err)
	}
	defer r.Close()
	if s, err = shard.Receive(path, hash, r); err != nil {
		return nil, fmt.Errorf("fetch %s from the store: %w", key, err)
	}
	return s, nil
}

// lastPatience is how long a node tries to tell the coordinators how it ended.
const lastPatience = 2 * time.Second

func killAt(drills []job.Drill, name string) uint64 {
	for _, d := range drills {
		if d.Kind == job.Kill && d.Target == name {
			return d.Step
		}
	}
	return 0
}

func holdAfter(drills []job.Drill) (steps []uint64) {
	for _, d := range drills {
		if d.Kind == job.Join {
			steps = append(steps, d.Step)
		}
	}
	return steps
}

// killSelf is what a drill means by kill: the end without a word.
func killSelf() {
	p, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = p.Kill()
	}
	if err != nil {
		panic("drill: cannot kill this process: " + err.Error())
	}
	select {} // the signal is on its way
}

// compile opens the backend and makes the job's programs.
func (n *node) compile(ctx context.Context, spec job.Spec) (*learner, error) {
	n.say("opening backend")
	opts := n.cfg.Backend
	opts.Threads = spec.CPUThreads
	be, err := backend.Open(ctx, opts)
	if err != nil {
		return nil, err
	}
	n.log.Info("backend", "kind", be.Kind(), "why", be.Why())
	n.say("loading")
	m, err := model.Load(be, spec.BaseModel, model.Options{ReinitWeights: spec.ReinitWeights, Seed: spec.Seed, Share: n.cfg.Weights})
	if err != nil {
		return nil, err
	}
	s, err := m.Train(spec)
	if err != nil {
		return nil, err
	}
	if err := m.Unshared(); err != nil {
		n.log.Warn("this node has its own copy of the base weights, not the machine's", "error", err)
	}
	n.say("compiling")
	l := &learner{backend: be, model: m, session: s}
	probe, err := l.warm(spec)
	if err != nil {
		return nil, err
	}
	n.compiled(hex.EncodeToString(probe[:]))
	return l, nil
}
