// Package train makes the steps of a job on one node, together with the other
// nodes of its roster, and goes on when some of them die.
//
// # What it does
//
// A Trainer holds the state of the job as this node knows it: the trainable
// parameters, the optimizer's moments, the number of steps done and the digest
// that names all of it. It takes up one roster after another. On each it says
// hello to every other member until all stand at the same step with the same
// digest, and then makes steps (step.go shows one, whole and in order) until
// the job ends or the roster does.
//
// # When something fails
//
// A sum that fails leaves the state alone: the node says so, with whom it
// suspects, and waits for a higher roster. A sum that succeeded has been
// applied, and it was true. So members may stand one step apart when a roster
// ends; the next hello finds out, and who is behind fetches the sums that it
// missed from a peer, or the whole state. Whatever was redone gives the same
// bits, since nothing in a step depends on who makes it.
//
// # Who decides
//
// Who is in a roster is decided elsewhere (package roster, by the leader of the
// coordinators) and handed in by Offer. When a planned roster takes hold is
// decided by rank 0 of the roster before it, which says so in the message that
// opens a step (word.go); so every member switches after the same step. The
// decision what to do on a hello is a pure function (hello.go).
package train

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"carillon/allreduce"
	"carillon/job"
	"carillon/optim"
	"carillon/roster"
	"carillon/shard"
)

// Learner is the model of a job, as a step sees it. It is used by one goroutine.
type Learner interface {
	// Upload makes flat the trainable parameters that Gradient uses from now on.
	Upload(flat []float32) error
	// Gradient runs the model on one lane's batch and fills grad (flat order)
	// with the gradient of the loss summed over the batch's supervised tokens,
	// and returns that loss.
	Gradient(b *shard.Batch, dropout job.Key, grad []float32) (loss float32, err error)
	// Loss returns the loss summed over the batch's supervised tokens, without
	// dropout.
	Loss(b *shard.Batch) (float32, error)
	// ReadBack returns a trainable parameter as the device holds it.
	ReadBack(name string) ([]float32, error)
}

// Mesh is a node's links to the members of one roster.
type Mesh interface {
	allreduce.Mesh
	// Begin opens the exchanges of a step; what arrives for an older one is dropped.
	Begin(step uint64, attempt uint32)
	// BytesSent counts the bytes sent so far on this mesh.
	BytesSent() uint64
	// Close ends every exchange with an error and frees the links.
	Close()
}

// Links is how a trainer reaches other nodes. Implementations are safe for
// concurrent use. A slow or stopped peer never blocks a call beyond its ctx.
type Links interface {
	// Form links this node with all members of r, in rank order. broken is
	// called when the connection to one of them breaks.
	Form(ctx context.Context, r roster.Roster, broken func(job.NodeID, error)) (Mesh, error)
	// Ask sends a request of at most a few hundred bytes to a member's handler
	// of verb and returns its answer (at most 1 MiB).
	Ask(ctx context.Context, to roster.Member, verb string, payload []byte) ([]byte, error)
	// Handle answers the requests of others for verb, in goroutines of the
	// implementation.
	Handle(verb string, fn func(from job.NodeID, payload []byte) ([]byte, error))
}

// Reporter hears what happens, in order. Its methods return at once.
type Reporter interface {
	// Stepped reports a finished step.
	Stepped(Record)
	// Changed says that Status has changed in a way that the coordinators
	// should hear of now.
	Changed()
}

// Saver keeps copies of the state for a checkpoint.
type Saver interface {
	// Save copies the state (which is the caller's again on return) and stores
	// this node's share of it in the background: share rank of size. It waits for
	// room for the copy if the job needs this one; else it may leave it out.
	Save(s *State, rank, size int, needed bool) error
}

// Param is one trainable tensor: elements [Offset, Offset+Size) of the flat vector.
type Param struct {
	Name         string
	Offset, Size int
	Decay        bool    // takes part in weight decay
	Rate         float64 // what the learning rate is multiplied by; 0: 1
}

// Config is everything a Trainer needs. All fields are required unless they say otherwise.
type Config struct {
	Job      job.ID
	Self     job.NodeID
	Spec     job.Spec
	Steps    uint64 // optimizer updates of the whole job
	Identity string // job identity, hex; told in hellos
	Probe    string // kind of the compute backend, hex; told in hellos
	Params   []Param
	Start    State // the initial state or a restored one; the Trainer owns it

	Learner  Learner
	Data     *shard.Set
	Plan     shard.Plan
	Links    Links
	Reporter Reporter
	Saver    Saver

	// Restore returns the state of the newest checkpoint. It is asked when the
	// whole roster stands behind what is saved.
	Restore func(ctx context.Context) (State, error)
	// KillAt is the step in which Kill is called, after the gradients; 0 for never.
	KillAt uint64
	Kill   func()
	// HoldAfter lists the steps after which rank 0 waits for a joiner (drills).
	HoldAfter []uint64

	Log *slog.Logger
}

// Trainer makes a job's steps on one node. Run is called once; the other
// methods may be called at any time from any goroutine.
type Trainer struct {
	cfg       Config
	adam      optim.AdamW
	schedule  optim.Schedule
	quantizer allreduce.Quantizer
	algorithm allreduce.Algorithm
	work      buffers

	mu       sync.Mutex // guards the fields below
	changed  chan struct{}
	state    State
	history  history
	snapshot snapshot
	hellos   map[job.NodeID]Hello // the last of each node
	outlook
	orders
}

// New returns a Trainer that stands at cfg.Start.
func New(cfg Config) (*Trainer, error) {
	q, err := allreduce.NewQuantizer(allreduce.Codec(cfg.Spec.Compression), cfg.Spec.Lanes)
	if err != nil {
		return nil, err
	}
	alg, err := allreduce.ParseAlgorithm(cfg.Spec.Algorithm)
	if err != nil {
		return nil, err
	}
	t := &Trainer{
		cfg:       cfg,
		adam:      adamW(cfg.Spec, cfg.Params),
		quantizer: q,
		algorithm: alg,
		state:     cfg.Start,
		changed:   make(chan struct{}),
		hellos:    map[job.NodeID]Hello{},
		history:   newHistory(len(cfg.Start.W)),
	}
	if t.schedule, err = optim.NewSchedule(cfg.Spec); err != nil {
		return nil, err
	}
	t.work = newBuffers(len(cfg.Start.W))
	t.final = cfg.Steps
	if n := t.state.Step; n > 0 {
		t.evaluated = n // what a checkpoint holds was evaluated before it was saved
	}
	cfg.Links.Handle(verbHello, t.answerHello)
	cfg.Links.Handle(verbSum, t.answerSum)
	cfg.Links.Handle(verbState, t.answerState)
	return t, nil
}

// adamW gives each trainable its weight decay and learning rate.
func adamW(s job.Spec, params []Param) optim.AdamW {
	a := optim.AdamW{Beta1: s.AdamBeta1, Beta2: s.AdamBeta2, Epsilon: s.AdamEpsilon, WeightDecay: s.WeightDecay}
	for _, p := range params {
		a.Groups = append(a.Groups, optim.Group{From: p.Offset, To: p.Offset + p.Size, Decay: p.Decay, Rate: p.Rate})
	}
	return a
}

// Run takes up rosters and makes steps until the job has ended and is saved,
// this node was let go, ctx ends, or something happens that no other roster
// would mend, which it returns.
func (t *Trainer) Run(ctx context.Context) error {
	if err := t.cfg.Learner.Upload(t.state.W); err != nil {
		return err
	}
	for {
		r, err := t.next(ctx)
		if err != nil || r.Number.IsZero() {
			return err
		}
		if err := t.ride(ctx, r); err != nil {
			return t.at(r).Wrap("train", err)
		}
	}
}

func (t *Trainer) at(r roster.Roster) job.At {
	t.mu.Lock()
	defer t.mu.Unlock()
	return job.At{Job: t.cfg.Job, Roster: r.Number, Step: t.state.Step, Node: t.cfg.Self}
}

// ride makes the steps of roster r: hello, then one step after another. It
// returns nil when the roster is over for this node, for whatever reason that
// another roster can mend.
func (t *Trainer) ride(ctx context.Context, r roster.Roster) error {
	if !r.Has(t.cfg.Self) {
		t.standBy(r)
		return nil
	}
	ctx, stop := t.takeUp(ctx, r)
	defer stop()
	mesh, err := t.cfg.Links.Form(ctx, r, t.lost)
	if err != nil {
		return t.fail(ctx, fmt.Errorf("link with roster %v: %w", r.Number, err))
	}
	defer mesh.Close()
	if err := t.settle(ctx, r); err != nil {
		return t.fail(ctx, err)
	}
	return t.steps(ctx, mesh, r)
}

// steps makes steps on a settled roster until the job or the roster ends.
func (t *Trainer) steps(ctx context.Context, mesh Mesh, r roster.Roster) error {
	var word Word
	for {
		if err := t.boundary(ctx, mesh, r); err != nil {
			return t.fail(ctx, err)
		}
		if t.finished() || !word.Switch.IsZero() {
			t.switchTo(word.Switch)
			return nil
		}
		if err := t.awaitSaved(ctx); err != nil {
			return t.fail(ctx, err)
		}
		if err := t.hold(ctx, mesh.Rank()); err != nil {
			return t.fail(ctx, err)
		}
		var err error
		if word, err = t.step(ctx, mesh, r); err != nil {
			return t.fail(ctx, err)
		}
	}
}

// boundary does what belongs between two steps: the evaluation, the report, and
// the copy for a checkpoint. What was done already is not done again.
func (t *Trainer) boundary(ctx context.Context, mesh Mesh, r roster.Roster) error {
	if err := t.evaluate(ctx, mesh, r.Members[mesh.Rank()].Lanes); err != nil {
		return err
	}
	t.report()
	due, needed := t.saveDue()
	if !due {
		return nil
	}
	return fatal(t.cfg.Saver.Save(&t.state, mesh.Rank(), mesh.Size(), needed))
}
