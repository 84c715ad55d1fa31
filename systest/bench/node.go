package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"syscall"
	"time"

	"carillon/job"
	"carillon/roster"
	"carillon/shard"
	"carillon/train"
	"carillon/wire"
)

// aroundNode is a node of the measurement: the trainer, the links and the data
// of a real one, and a model that has its gradient ready.
func aroundNode(in io.Reader, out io.Writer) error {
	orders, answers := json.NewDecoder(in), json.NewEncoder(out)
	var o order
	if err := orders.Decode(&o); err != nil {
		return err
	}
	data, err := shard.Open(o.Shard)
	if err != nil {
		return err
	}
	defer data.Close()
	log := slog.New(slog.DiscardHandler)
	id := job.NewNodeID(o.Name)
	l, err := wire.Open(wire.Config{Job: "bench", Self: id, Listen: "127.0.0.1:0", Log: log})
	if err != nil {
		return err
	}
	defer l.Close()
	if err := answers.Encode(answer{ID: id, Addr: l.Addr()}); err != nil {
		return err
	}
	n := &node{gradient: noise()}
	n.trainer, err = train.New(n.config(id, o.Steps, data, links{l}, log))
	if err != nil {
		return err
	}
	if err := orders.Decode(&o); err != nil {
		return err
	}
	n.trainer.Offer(o.Roster)
	if err := n.trainer.Run(context.Background()); err != nil {
		return err
	}
	if err := answers.Encode(answer{CPU: n.cpu, Wall: n.wall}); err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, in) // others may still ask for the last sum
	return nil
}

// node is a train.Learner, Reporter and Saver that costs next to nothing.
type node struct {
	trainer  *train.Trainer
	gradient []float32
	device   []float32 // what was uploaded
	cpu      []float64 // milliseconds a step, one a window
	wall     []float64
	usage    time.Duration // at the beginning of the window
	began    time.Time
}

// noise is a gradient of usual sizes.
func noise() []float32 {
	key, g := job.NewKey(2, job.ForProbe), make([]float32, aroundSize)
	for i := range g {
		g[i] = (key.Uniform(uint64(i)) - 0.5) / 64
	}
	return g
}

func (n *node) config(id job.NodeID, steps int, data *shard.Set, l train.Links, log *slog.Logger) train.Config {
	spec := job.Spec{
		Lanes: aroundLanes, MicroBatchSize: 1, SequenceLen: 128, MaxSteps: steps, Seed: 42, LearningRate: 1e-4, LRScheduler: "constant",
		AdamBeta1: 0.9, AdamBeta2: 0.999, AdamEpsilon: 1e-8, MaxGradNorm: 1, Compression: "q8", Algorithm: "auto",
	}
	return train.Config{
		Job: "bench", Self: id, Spec: spec, Steps: uint64(steps), Identity: "bench",
		Params:  []train.Param{{Name: "all", Size: aroundSize}},
		Start:   train.State{W: make([]float32, aroundSize), M: make([]float32, aroundSize), V: make([]float32, aroundSize)},
		Learner: n, Data: data, Plan: shard.PlanOf(spec), Links: l, Reporter: n, Saver: n,
		Restore: func(context.Context) (train.State, error) {
			return train.State{}, fmt.Errorf("nothing is saved")
		},
		Log: log,
	}
}

func (n *node) Upload(flat []float32) error {
	n.device = append(n.device[:0], flat...)
	return nil
}

func (n *node) Gradient(_ *shard.Batch, _ job.Key, grad []float32) (float32, error) {
	copy(grad, n.gradient)
	return 5, nil
}

func (n *node) Loss(*shard.Batch) (float32, error) { return 5, nil }

func (n *node) ReadBack(string) ([]float32, error) { return n.device, nil }

// Stepped closes a window every so many steps; the first is for warming up.
func (n *node) Stepped(r train.Record) {
	if r.Step%aroundWindow != 0 {
		return
	}
	usage, now := processTime(), time.Now()
	if !n.began.IsZero() {
		n.cpu = append(n.cpu, float64(usage-n.usage)/float64(time.Millisecond)/aroundWindow)
		n.wall = append(n.wall, float64(now.Sub(n.began))/float64(time.Millisecond)/aroundWindow)
	}
	n.usage, n.began = usage, now
}

func (n *node) Changed() {}

// Save is asked for once, at the end.
func (n *node) Save(s *train.State, _, _ int, _ bool) error {
	n.trainer.Heed(train.Orders{Saved: s.Step})
	return nil
}

// processTime is what all threads of this process have used.
func processTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// links lets wire.Links be train.Links, as package node's does.
type links struct{ *wire.Links }

func (l links) Form(ctx context.Context, r roster.Roster, broken func(job.NodeID, error)) (train.Mesh, error) {
	var peers []wire.Peer
	for _, m := range r.Members {
		peers = append(peers, wire.Peer{ID: m.ID, Addr: m.Addr})
	}
	m, err := l.Links.Form(ctx, r.Number, peers, broken)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func (l links) Ask(ctx context.Context, to roster.Member, verb string, payload []byte) ([]byte, error) {
	return l.Links.Ask(ctx, wire.Peer{ID: to.ID, Addr: to.Addr}, verb, payload)
}
