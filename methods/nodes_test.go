package methods_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"carillon/allreduce"
	"carillon/allreduce/ringtest"
	"carillon/job"
	"carillon/model"
	"carillon/roster"
	"carillon/shard"
	"carillon/train"
)

// cluster is the trainers of one job, linked in memory: real lanes, and the integer
// sums of a job on machines. Nothing happens to its members.
type cluster struct {
	group *ringtest.Group

	mu      sync.Mutex // guards the fields below and what members say guards theirs
	members []*member
	saved   map[uint64]train.State // of rank 0, as records are
	records []train.Record
}

// member is a node: a trainer, the model that it trains, and its links.
type member struct {
	*cluster
	session *model.Session
	trainer *train.Trainer
	id      job.NodeID
	rank    int
	verbs   map[string]func(job.NodeID, []byte) ([]byte, error) // under cluster.mu
}

// trainOn makes the steps of a job from a state to its end, a node for each session.
func trainOn(t *testing.T, spec job.Spec, data *shard.Set, start train.State, sessions ...*model.Session) *cluster {
	t.Helper()
	c := &cluster{group: ringtest.New(len(sessions)), saved: map[uint64]train.State{}}
	r := roster.Roster{Number: job.RosterNumber{Incarnation: 1, Count: 1}, Kind: roster.Forced}
	lanes := roster.Lanes(spec.Lanes, len(sessions))
	for i, s := range sessions {
		m := &member{cluster: c, session: s, id: job.NodeID(fmt.Sprintf("n%d", i)), rank: i, verbs: map[string]func(job.NodeID, []byte) ([]byte, error){}}
		c.members = append(c.members, m)
		r.Members = append(r.Members, roster.Member{ID: m.id, Lanes: lanes[i]})
	}
	for _, m := range c.members {
		var err error
		if m.trainer, err = train.New(m.config(spec, data, start)); err != nil {
			t.Fatal(err)
		}
	}
	var nodes sync.WaitGroup
	for _, m := range c.members {
		m.trainer.Offer(r)
		nodes.Go(func() {
			if err := m.trainer.Run(t.Context()); err != nil {
				t.Errorf("node %d of %d: %v", m.rank, len(sessions), err)
			}
		})
	}
	nodes.Wait()
	return c
}

// checkSame makes sure that all nodes end as the one of another job did, and that each
// step came to the same.
func (c *cluster) checkSame(t *testing.T, one *cluster) {
	t.Helper()
	skipped := len(one.records) - len(c.records) // done before this one began
	for i, got := range c.records {
		if want := one.records[skipped+i]; got.Digest != want.Digest || got.Tail != want.Tail {
			t.Errorf("%d nodes: step %d has digest %.8x and counters %v, want %.8x and %v", len(c.members), got.Step, got.Digest, got.Tail, want.Digest, want.Tail)
		}
	}
	want := one.members[0].trainer.Status()
	for _, m := range c.members {
		if got := m.trainer.Status(); got.Step != want.Step || got.Digest != want.Digest {
			t.Errorf("node %d of %d ends at step %d with digest %.8x, want %d and %.8x", m.rank, len(c.members), got.Step, got.Digest, want.Step, want.Digest)
		}
	}
}

func (m *member) config(spec job.Spec, data *shard.Set, start train.State) train.Config {
	return train.Config{
		Job: "j", Self: m.id, Spec: spec, Steps: uint64(spec.MaxSteps), Identity: "same", Params: paramsOf(m.session), Start: copyOf(start),
		Learner: m, Data: data, Plan: shard.PlanOf(spec), Links: m, Reporter: m, Saver: m, Log: slog.New(slog.DiscardHandler),
		Restore: func(context.Context) (train.State, error) {
			return train.State{}, errors.New("nothing is restored here")
		},
	}
}

func paramsOf(s *model.Session) (params []train.Param) {
	for _, p := range s.Params() {
		params = append(params, train.Param{Name: p.Name, Offset: p.Offset, Size: size(p.Shape), Decay: p.Decay, Rate: p.Rate})
	}
	return params
}

func size(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

func copyOf(s train.State) train.State {
	s.W, s.M, s.V = slices.Clone(s.W), slices.Clone(s.M), slices.Clone(s.V)
	return s
}

func (m *member) Upload(flat []float32) error { return m.session.Upload(flat) }

func (m *member) Gradient(b *shard.Batch, dropout job.Key, grad []float32) (float32, error) {
	return m.session.Gradient(inputOf(b), dropout, grad)
}

func (m *member) Loss(b *shard.Batch) (float32, error) { return m.session.Loss(inputOf(b)) }

func (m *member) ReadBack(name string) ([]float32, error) { return m.session.ReadBack(name) }

func inputOf(b *shard.Batch) model.Input {
	return model.Input{
		Rows: b.Rows, Len: b.Len, Tokens: b.Tokens, Labels: b.Labels, Mask: b.Mask,
		Targets: b.Targets, DecoderTokens: b.DecoderTokens, TargetLen: b.TargetLen,
	}
}

// Form returns this node's end of the group.
func (m *member) Form(context.Context, roster.Roster, func(job.NodeID, error)) (train.Mesh, error) {
	return mesh{m.group.Mesh(m.rank)}, nil
}

// mesh is a link that nothing happens to: a step opens nothing, the end closes nothing.
type mesh struct{ allreduce.Mesh }

func (mesh) Begin(uint64, uint32) {}
func (mesh) BytesSent() uint64    { return 0 }
func (mesh) Close()               {}

// Ask calls the other node's handler.
func (m *member) Ask(_ context.Context, to roster.Member, verb string, payload []byte) ([]byte, error) {
	for _, o := range m.members {
		if o.id == to.ID {
			m.mu.Lock()
			answer := o.verbs[verb]
			m.mu.Unlock()
			return answer(m.id, slices.Clone(payload))
		}
	}
	return nil, fmt.Errorf("there is no node %s", to.ID)
}

// Handle keeps the handler of a verb.
func (m *member) Handle(verb string, answer func(job.NodeID, []byte) ([]byte, error)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.verbs[verb] = answer
}

func (m *member) Changed() {}

func (m *member) Stepped(r train.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rank == 0 {
		m.records = append(m.records, r)
	}
}

// Save keeps rank 0's copy, and tells the node that it is saved.
func (m *member) Save(s *train.State, _, _ int, _ bool) error {
	m.mu.Lock()
	if m.rank == 0 {
		m.saved[s.Step] = copyOf(*s)
	}
	m.mu.Unlock()
	m.trainer.Heed(train.Orders{Saved: s.Step})
	return nil
}
