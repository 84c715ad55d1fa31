package train

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"
	"math"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"carillon/allreduce"
	"carillon/allreduce/ringtest"
	"carillon/checkpoint"
	"carillon/job"
	"carillon/roster"
	"carillon/shard"
)

// system is the trainers of one job in one synctest bubble: links in memory,
// a model of a thousand numbers, virtual time. Its rosters are given by hand
// (offer), or by roster.Next, as a leading coordinator would (lead).
type system struct {
	t     *testing.T
	spec  job.Spec
	steps uint64
	data  *shard.Set
	holds []uint64 // Config.HoldAfter of every member

	mu         sync.Mutex // guards the fields below and what members say guards theirs
	members    []*member
	groups     map[job.RosterNumber]*ringtest.Group
	faults     []*fault
	current    roster.Roster
	checkpoint State // the newest
	saves      []uint64
	allShares  bool // HEAD moves when every rank has saved; else with the first
	shares     map[job.NodeID]uint64
}

// fault happens to a member in a hop of a step.
type fault struct {
	name  string
	step  uint64
	hop   allreduce.Hop
	kill  bool // else: it is silent until its ride ends
	fired bool
}

// size is the model's number of trainables.
const size = 1000

var params = []Param{{Name: "a", Size: 300, Decay: true}, {Name: "b", Offset: 300, Size: 1}, {Name: "c", Offset: 301, Size: 699, Decay: true}}

// newSystem must be called in a bubble.
func newSystem(t *testing.T) *system {
	s := &system{t: t, steps: 12, groups: map[job.RosterNumber]*ringtest.Group{}, shares: map[job.NodeID]uint64{}}
	s.spec = job.Spec{
		Lanes: 5, MicroBatchSize: 2, SequenceLen: 8, Seed: 42, MaxSteps: 12, LearningRate: 1e-2, LRScheduler: "linear",
		AdamBeta1: 0.9, AdamBeta2: 0.999, AdamEpsilon: 1e-8, WeightDecay: 0.01, MaxGradNorm: 1, Compression: "q8", Algorithm: "auto",
	}
	s.data = testData(t)
	return s
}

func testData(t *testing.T) *shard.Set {
	path := filepath.Join(t.TempDir(), "data.shard")
	var examples []shard.Example
	for i := range 60 {
		e := shard.Example{HeldOut: i%6 == 5}
		for j := range 3 + i%6 {
			e.Tokens = append(e.Tokens, int32((i*7+j*3)%50))
		}
		examples = append(examples, e)
	}
	if _, err := shard.Build(path, shard.Info{Vocab: 50, Blank: -1}, examples); err != nil {
		t.Fatal(err)
	}
	data, err := shard.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { data.Close() })
	return data
}

// member is a node: a Trainer and what is around it.
type member struct {
	s       *system
	name    string
	id      job.NodeID
	trainer *Trainer
	stop    context.CancelFunc
	done    chan struct{}
	err     error // why Run ended; read after done

	// Under system.mu:
	dead, leaving bool
	deaf          bool // cut off: hears of no roster
	walled        bool // what it asks of others gets no answer
	joinAfter     uint64
	verbs         map[string]func(job.NodeID, []byte) ([]byte, error)
	asked         map[string]int // how often others asked, by verb
	ride          roster.Roster  // linked now
	broken        func(job.NodeID, error)
	records       []Record

	learner
}

// start starts a node from the newest checkpoint, if there is one.
func (s *system) start(name string, change ...func(*Config)) *member {
	s.t.Helper()
	m := &member{
		s: s, name: name, id: job.NodeID(name + "-0123456789abcdef"), done: make(chan struct{}),
		verbs: map[string]func(job.NodeID, []byte) ([]byte, error){}, asked: map[string]int{},
		learner: learner{pace: 10 * time.Millisecond},
	}
	cfg := Config{
		Job: "j", Self: m.id, Spec: s.spec, Steps: s.steps, Identity: "same", Params: params, Start: s.newest(),
		Learner: &m.learner, Data: s.data, Plan: shard.PlanOf(s.spec), Links: m, Reporter: m, Saver: m,
		Restore:   func(context.Context) (State, error) { return s.newest(), nil },
		HoldAfter: s.holds,
		Kill:      func() { m.kill(); runtime.Goexit() },
		Log:       slog.New(slog.NewTextHandler(s.t.Output(), nil)),
	}
	for _, c := range change {
		c(&cfg)
	}
	var err error
	if m.trainer, err = New(cfg); err != nil {
		s.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(s.t.Context())
	m.stop = stop
	s.mu.Lock()
	s.members = append(s.members, m)
	s.mu.Unlock()
	go func() {
		defer close(m.done)
		m.err = m.trainer.Run(ctx)
	}()
	return m
}

// startAll starts n1, n2, ….
func (s *system) startAll(n int) []*member {
	var all []*member
	for i := range n {
		all = append(all, s.start(fmt.Sprintf("n%d", i+1)))
	}
	return all
}

// newest is the state to start from: the newest checkpoint, or the first one.
func (s *system) newest() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	var c State
	if s.checkpoint.Step > 0 {
		c.copyFrom(&s.checkpoint)
		return c
	}
	c = State{W: make([]float32, size), M: make([]float32, size), V: make([]float32, size)}
	key := job.NewKey(s.spec.Seed, job.ForInit)
	for i := range c.W {
		c.W[i] = key.Uniform(uint64(i)) - 0.5
	}
	c.Digest = sha256.Sum256([]byte("start"))
	return c
}

func (s *system) member(id job.NodeID) *member {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.members {
		if m.id == id {
			return m
		}
	}
	return nil
}

// kill ends a node without a word: nobody reaches it any more, and the links
// of the others to it break.
func (m *member) kill() {
	s := m.s
	s.mu.Lock()
	m.dead = true
	var tell []func(job.NodeID, error)
	for _, o := range s.members {
		if !o.dead && o.broken != nil && o.ride.Has(m.id) {
			tell = append(tell, o.broken)
		}
	}
	s.mu.Unlock()
	m.stop()
	for _, f := range tell {
		f(m.id, errors.New("connection closed"))
	}
}

// Ask calls the other node's handler.
func (m *member) Ask(ctx context.Context, to roster.Member, verb string, payload []byte) ([]byte, error) {
	o := m.s.member(to.ID)
	if o == nil {
		return nil, errors.New("no such node")
	}
	m.s.mu.Lock()
	fn, dead := o.verbs[verb], o.dead || m.dead || m.walled
	o.asked[verb]++
	m.s.mu.Unlock()
	if dead || fn == nil {
		return nil, errors.New("no answer")
	}
	return fn(m.id, slices.Clone(payload))
}

// Handle keeps the handler of a verb.
func (m *member) Handle(verb string, fn func(job.NodeID, []byte) ([]byte, error)) {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	m.verbs[verb] = fn
}

// Form joins the roster's group.
func (m *member) Form(ctx context.Context, r roster.Roster, broken func(job.NodeID, error)) (Mesh, error) {
	s := m.s
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.members {
		if o.dead && r.Has(o.id) {
			return nil, &blame{o.id}
		}
	}
	g := s.groups[r.Number]
	if g == nil {
		g = ringtest.New(len(r.Members))
		s.groups[r.Number] = g
	}
	m.ride, m.broken = r, broken
	return &mesh{Mesh: g.Mesh(r.Rank(m.id)), member: m}, nil
}

// blame is an error with a suspect, as package wire's.
type blame struct{ id job.NodeID }

func (b *blame) Error() string       { return fmt.Sprintf("%v cannot be reached", b.id) }
func (b *blame) Suspect() job.NodeID { return b.id }

// mesh is a rank of a ringtest.Group whose faults have a step too.
type mesh struct {
	allreduce.Mesh
	*member
	step uint64
}

func (m *mesh) Begin(step uint64, _ uint32) { m.step = step }
func (m *mesh) BytesSent() uint64           { return 0 }

func (m *mesh) Close() {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	m.broken = nil
}

func (m *mesh) Exchange(ctx context.Context, hop allreduce.Hop, out [][]byte, from []int) ([][]byte, error) {
	switch f := m.s.fault(m.name, m.step, hop); {
	case f == nil:
	case f.kill:
		m.kill()
		runtime.Goexit()
	default:
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	return m.Mesh.Exchange(ctx, hop, out, from)
}

// faultAt makes something happen to a member, once.
func (s *system) faultAt(name string, step uint64, hop allreduce.Hop, kill bool) {
	s.faults = append(s.faults, &fault{name: name, step: step, hop: hop, kill: kill})
}

func (s *system) fault(name string, step uint64, hop allreduce.Hop) *fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if f.name == name && f.step == step && f.hop == hop && !f.fired {
			f.fired = true
			return f
		}
	}
	return nil
}

func (m *member) Stepped(r Record) {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	m.records = append(m.records, r)
}

func (m *member) Changed() {}

// Save makes a checkpoint at once, and tells everybody that HEAD names it.
func (m *member) Save(st *State, rank, size int, _ bool) error {
	s := m.s
	s.mu.Lock()
	s.shares[m.id] = st.Step
	ready := 0
	for _, step := range s.shares {
		if step == st.Step {
			ready++
		}
	}
	if s.checkpoint.Step < st.Step && (!s.allShares || ready == size) {
		s.checkpoint.copyFrom(st)
		s.saves = append(s.saves, st.Step)
	}
	members, saved := slices.Clone(s.members), s.checkpoint.Step
	s.mu.Unlock()
	for _, o := range members {
		o.trainer.Heed(Orders{Saved: saved})
	}
	return nil
}

// learner is a model that computes the same from the same, and takes its time.
type learner struct {
	pace   time.Duration
	w      []float32
	nan    uint64 // the gradient of this call (counted from 1) is not a number
	calls  uint64
	broken bool // the device forgets what it was given
}

func (l *learner) Upload(flat []float32) error {
	l.w = append(l.w[:0], flat...)
	return nil
}

func (l *learner) Gradient(b *shard.Batch, dropout job.Key, grad []float32) (float32, error) {
	<-time.After(l.pace)
	l.calls++
	key := job.NewKey(uint64(tokens(b)), job.ForProbe, uint64(dropout[0]), uint64(dropout[1]))
	for i := range grad {
		grad[i] = l.w[i]*0.25 + key.Uniform(uint64(i)) - 0.5
	}
	if l.calls == l.nan {
		grad[7] = float32(math.NaN())
	}
	return l.loss(b), nil
}

func (l *learner) Loss(b *shard.Batch) (float32, error) { return l.loss(b), nil }

func (l *learner) loss(b *shard.Batch) float32 {
	return float32(tokens(b)%1000)/100 + l.w[0]
}

func tokens(b *shard.Batch) uint32 {
	buf := make([]byte, 0, 4*len(b.Tokens))
	for _, t := range b.Tokens {
		buf = binary.LittleEndian.AppendUint32(buf, uint32(t))
	}
	return crc32.ChecksumIEEE(buf)
}

func (l *learner) ReadBack(name string) ([]float32, error) {
	for _, p := range params {
		if p.Name == name {
			w := slices.Clone(l.w[p.Offset:][:p.Size])
			if l.broken {
				w[0]++
			}
			return w, nil
		}
	}
	return nil, fmt.Errorf("no parameter %s", name)
}

// roster makes one with the next number.
func (s *system) roster(kind roster.Kind, members ...*member) roster.Roster {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := roster.Roster{Number: job.RosterNumber{Incarnation: 1, Count: s.current.Number.Count + 1}, Kind: kind, Base: s.current.Number, Reason: "test"}
	lanes := roster.Lanes(s.spec.Lanes, len(members))
	for i, m := range members {
		r.Members = append(r.Members, roster.Member{ID: m.id, Name: m.name, Lanes: lanes[i]})
	}
	s.current = r
	return r
}

// offer gives a roster to everybody who hears, as the ledger would.
func (s *system) offer(r roster.Roster) {
	s.mu.Lock()
	members := slices.Clone(s.members)
	s.mu.Unlock()
	for _, m := range members {
		if !m.isDead() && !m.deaf {
			m.trainer.Offer(r)
		}
	}
}

func (m *member) isDead() bool {
	m.s.mu.Lock()
	defer m.s.mu.Unlock()
	return m.dead
}

// until waits, in virtual time, for a condition.
func (s *system) until(what string, ok func() bool) {
	s.t.Helper()
	s.every(2*time.Millisecond, what, ok)
}

func (s *system) every(pause time.Duration, what string, ok func() bool) {
	s.t.Helper()
	for range 50_000 {
		if ok() {
			return
		}
		<-time.After(pause)
	}
	s.t.Fatalf("%s: not within %v%s", what, 50_000*pause, s.dump())
}

// at is a condition: the member stands at the step or further.
func (m *member) at(step uint64) func() bool {
	return func() bool { return m.trainer.Status().Step >= step }
}

func (m *member) ended() bool {
	select {
	case <-m.done:
		return true
	default:
		return false
	}
}

func (s *system) dump() string {
	text := ""
	for _, m := range s.members {
		text += fmt.Sprintf("\n%s: %+v ended %v dead %v", m.name, m.trainer.Status(), m.ended(), m.dead)
	}
	return text
}

// lead makes rosters as the leading coordinator would, until all members have
// ended. news are called every time before it looks.
func (s *system) lead(p roster.Policy, news ...func()) {
	s.t.Helper()
	p.Incarnation, p.Lanes, p.Silence, p.Doubt = 1, s.spec.Lanes, time.Second, 300*time.Millisecond
	s.every(50*time.Millisecond, "the end", func() bool {
		for _, f := range news {
			f()
		}
		beats, over := s.beats()
		if over {
			return true
		}
		s.mu.Lock()
		cur := s.current
		next, _ := roster.Next(time.Now(), cur, beats, p)
		s.current = next
		s.mu.Unlock()
		if cur.Number.Less(next.Number) {
			s.offer(next)
		}
		for _, m := range s.members {
			if m.leaving && !m.isDead() {
				m.trainer.Heed(Orders{Released: roster.Released(m.id, next, beats)})
			}
		}
		return false
	})
}

func (s *system) beats() (beats []roster.Beat, over bool) {
	over = true
	for _, m := range s.members {
		over = over && m.ended()
		st := m.trainer.Status()
		s.mu.Lock()
		beats = append(beats, roster.Beat{
			ID: m.id, Name: m.name, Roster: st.Roster, Step: st.Step, Failed: st.Failed, Ready: true, Leaving: m.leaving,
			Finished: st.Finished, JoinAfter: m.joinAfter, Suspects: st.Suspects, Seen: time.Now(), Gone: m.dead || m.ended(),
		})
		s.mu.Unlock()
	}
	return beats, over
}

// join waits until every member that lives has ended, and lets none have an error.
func (s *system) join() {
	s.t.Helper()
	for _, m := range s.members {
		s.until(m.name+" ends", m.ended)
	}
}

// outcome is what must be equal whatever happened.
type outcome struct {
	step   uint64
	digest [32]byte
	state  [32]byte
}

// verdict checks the three lines of every fault test: all nodes hold equal
// bits, equal to want, and each fault fired.
func (s *system) verdict(want outcome) {
	s.t.Helper()
	s.join()
	live := 0
	for _, m := range s.members {
		if m.dead || m.leaving {
			continue
		}
		live++
		if m.err != nil {
			s.t.Errorf("%s: %v", m.name, m.err)
		}
		if got := m.outcome(); got != want {
			s.t.Errorf("%s ended at step %d with digest %.8x, want step %d and %.8x", m.name, got.step, got.digest, want.step, want.digest)
		}
	}
	for _, f := range s.faults {
		if !f.fired {
			s.t.Errorf("the fault of %s at step %d, %v, has not happened", f.name, f.step, f.hop)
		}
	}
	if live == 0 {
		s.t.Error("nobody is left")
	}
}

func (m *member) outcome() outcome {
	st := &m.trainer.state
	return outcome{st.Step, st.Digest, checkpoint.StateHash(st.W, st.M, st.V)}
}

// alone is the outcome of one node that nothing happens to.
func alone(t *testing.T, change ...func(*system)) outcome {
	t.Helper()
	var got outcome
	synctest.Test(t, func(t *testing.T) {
		s := newSystem(t)
		for _, c := range change {
			c(s)
		}
		m := s.start("n1")
		s.offer(s.roster(roster.Forced, m))
		s.join()
		if got = m.outcome(); m.err != nil || got.step != s.steps {
			t.Fatalf("alone: step %d of %d, error %v", got.step, s.steps, m.err)
		}
	})
	return got
}

// copyFrom makes s equal to o, in memory of its own.
func (s *State) copyFrom(o *State) {
	s.Step, s.Updates, s.Digest = o.Step, o.Updates, o.Digest
	s.W = append(s.W[:0], o.W...)
	s.M = append(s.M[:0], o.M...)
	s.V = append(s.V[:0], o.V...)
}
