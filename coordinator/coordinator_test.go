package coordinator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"carillon/checkpoint"
	"carillon/job"
	"carillon/objstore"
	"carillon/objstore/dir"
	"carillon/testtool"
	"carillon/wire"
)

func TestMain(m *testing.M) {
	if cfg := os.Getenv(childEnv); cfg != "" {
		runAsChild(cfg)
		return
	}
	goleak.VerifyTestMain(m)
}

// peers finds free ports for n coordinators.
func peers(t *testing.T, n int) (out []Peer) {
	t.Helper()
	addrs := testtool.Ports(t, 2*n)
	for i := range n {
		out = append(out, Peer{ID: fmt.Sprintf("c%d", i+1), Raft: addrs[2*i], NATS: addrs[2*i+1]})
	}
	return out
}

// until waits until ok is true.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(30 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%s: still not after 30 s", what)
		}
	}
}

var quiet = slog.New(slog.DiscardHandler)

// system is three coordinators in this process, and a user's connection to them.
type system struct {
	t     *testing.T
	dir   string
	peers []Peer
	store objstore.Store
	run   []*running
	user  *wire.Control
}

type running struct {
	c    *Coordinator
	kill context.CancelFunc
	done chan struct{}
}

func begin(t *testing.T) *system {
	s := &system{t: t, dir: t.TempDir(), peers: peers(t, 3)}
	var err error
	if s.store, err = dir.Open(filepath.Join(s.dir, "store")); err != nil {
		t.Fatal(err)
	}
	for i := range s.peers {
		s.run = append(s.run, s.start(i))
	}
	s.user = s.dial("")
	return s
}

func (s *system) dial(self job.NodeID) *wire.Control {
	var addrs []string
	for _, p := range s.peers {
		addrs = append(addrs, "nats://"+p.NATS)
	}
	c, err := wire.Dial(wire.ControlConfig{Coordinators: addrs, Job: "j", Self: self, Log: quiet})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(c.Close)
	return c
}

func (s *system) start(i int) *running {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c, err := Open(ctx, Config{
		ID: s.peers[i].ID, Peers: s.peers, Dir: filepath.Join(s.dir, s.peers[i].ID), Store: s.store,
		OutputDir: s.dir, Kill: cancel, Log: quiet,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	r := &running{c: c, kill: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		if err := c.Run(ctx); err != nil {
			s.t.Errorf("coordinator %s: %v", c.cfg.ID, err)
		}
	}()
	s.t.Cleanup(func() { cancel(); <-r.done })
	return r
}

func (s *system) request(verb string, payload any) (answer []byte, err error) {
	b, err := json.Marshal(payload)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(s.t.Context(), 20*time.Second)
	defer cancel()
	return s.user.Request(ctx, verb, b)
}

func (s *system) submit(info wire.JobInfo) {
	s.t.Helper()
	if _, err := s.request(VerbSubmit, info); err != nil {
		s.t.Fatal(err)
	}
}

func (s *system) status() (st Status) {
	s.t.Helper()
	b, err := s.request(VerbStatus, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	if err := json.Unmarshal(b, &st); err != nil {
		s.t.Fatal(err)
	}
	return st
}

// leader is the index of who leads.
func (s *system) leader() int {
	id := s.status().Leader.ID
	return slices.IndexFunc(s.peers, func(p Peer) bool { return p.ID == id })
}

func aSpec(t *testing.T, change func(*job.Spec)) json.RawMessage {
	t.Helper()
	spec, err := job.Parse("r.yaml", []byte("base_model: demo/base\ndatasets: [{path: \"go:std\"}]\nmethod: full\nmax_steps: 30\nnodes: 3\n"))
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(&spec)
	}
	b, err := json.Marshal(spec)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// puppet is a node that beats over a real connection, and does what the test says.
type puppet struct {
	s    *system
	ctl  *wire.Control
	stop context.CancelFunc
	done chan struct{}

	mu     sync.Mutex // guards the fields below
	beat   wire.Beat
	answer wire.Answer // the last one of a leader
}

func (s *system) node(name string, change ...func(*wire.Beat)) *puppet {
	id := job.NewNodeID(name)
	p := &puppet{s: s, ctl: s.dial(id), done: make(chan struct{})}
	p.beat = wire.Beat{Job: "j", ID: id, Name: name, Addr: "nats://127.0.0.1:1", Host: "here", PID: 7, Ready: true, Warm: true, Probe: "aa", Identity: "ee", State: "ready"}
	for _, c := range change {
		c(&p.beat)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.stop = cancel
	go p.run(ctx)
	s.t.Cleanup(p.kill)
	return p
}

// run beats, and stands in the newest roster at once.
func (p *puppet) run(ctx context.Context) {
	defer close(p.done)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		a, err := p.ctl.Beat(ctx, p.now())
		p.mu.Lock()
		if r := a.Roster; r != nil && p.beat.Roster.Less(r.Number) {
			p.beat.Roster, p.beat.Failed, p.beat.Suspects = r.Number, false, nil
		}
		if err == nil {
			p.answer = a
			p.beat.Records = slices.DeleteFunc(slices.Clone(p.beat.Records), func(r wire.StepRecord) bool { return r.Step <= a.Recorded })
		}
		p.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
}

func (p *puppet) now() wire.Beat {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.beat
}

func (p *puppet) last() wire.Answer {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.answer
}

func (p *puppet) set(change func(*wire.Beat)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change(&p.beat)
}

// step makes all steps up to s.
func (p *puppet) step(s uint64) {
	p.set(func(b *wire.Beat) {
		b.Records = slices.Clone(b.Records)
		for n := b.Step + 1; n <= s; n++ {
			b.Records = append(b.Records, record(n))
		}
		b.Step, b.Digest = s, digestAt(s)
	})
}

// save stores a state of one chunk, if store is true, and says what it keeps.
func (p *puppet) save(step uint64, store bool) {
	state := fmt.Appendf(nil, "state of step %d", step)
	part := wire.Part{Step: step, Digest: digestAt(step), Index: wire.Whole, Size: int64(len(state))}
	all := []wire.Part{part}
	if store {
		sum, err := checkpoint.PutChunk(p.s.t.Context(), p.s.store, "j", 0, step, state)
		if err != nil {
			p.s.t.Fatal(err)
		}
		part.Index, part.SHA256 = 0, sum
		all = append(all, part)
	}
	p.set(func(b *wire.Beat) { b.Parts = all })
}

// kill ends the node without a word.
func (p *puppet) kill() {
	p.stop()
	<-p.done
	p.ctl.Close()
}

func each(ps []*puppet, fn func(*puppet)) {
	for _, p := range ps {
		fn(p)
	}
}

// in waits until the ledger's roster is of these nodes, and they stand in it.
func (s *system) in(names string, ps ...*puppet) {
	s.t.Helper()
	var st Status
	until(s.t, "a roster of "+names, func() bool {
		st = s.status()
		var got []string
		for _, m := range st.Roster.Members {
			got = append(got, m.Name)
		}
		stand := !slices.ContainsFunc(ps, func(p *puppet) bool { return p.now().Roster != st.Roster.Number })
		return strings.Join(got, " ") == names && stand
	})
}

// The whole life of a job: begin, lose a node, lose the leader, let a node in,
// save, end; and metrics.jsonl holds each step once, in order.
func TestJobOutlivesANodeAndTheLeader(t *testing.T) {
	s := begin(t)
	n1, n2, n3 := s.node("n1"), s.node("n2"), s.node("n3")
	n4 := s.node("n4", func(b *wire.Beat) { b.JoinAfter = 12 })
	s.submit(wire.JobInfo{ID: "j", Spec: aSpec(t, nil)})
	s.submit(wire.JobInfo{ID: "j", Identity: "ee", DataHash: "dd", BaseHash: "bb", Steps: 20, Store: s.dir})
	s.in("n1 n2 n3", n1, n2, n3)
	all := []*puppet{n1, n2, n3}
	each(all, func(p *puppet) { p.step(5) })
	n2.save(5, true)
	until(t, "step 5 is saved", func() bool { return n1.last().SavedStep == 5 })

	n2.kill()
	killed := time.Now()
	s.in("n1 n3", n1, n3)
	t.Logf("a node's death to the next roster, everywhere: %v", time.Since(killed))
	all = []*puppet{n1, n3}
	each(all, func(p *puppet) { p.step(10) })

	old := s.leader()
	s.run[old].kill()
	killed = time.Now()
	<-s.run[old].done
	if st := s.status(); st.Saved != 5 && st.Saved != 0 {
		t.Errorf("the new leader takes step %d for saved", st.Saved)
	}
	t.Logf("from the leader's close to a status of the new one: %v", time.Since(killed))
	each(all, func(p *puppet) { p.step(12) })
	s.in("n1 n3 n4", n1, n3, n4)
	all = append(all, n4)
	each(all, func(p *puppet) { p.step(20); p.set(func(b *wire.Beat) { b.Finished = true }) })
	n3.save(20, true)
	until(t, "the end", func() bool { return s.status().Phase == PhaseEnded })

	st := s.status()
	if st.Saved != 20 || st.End.Step != 20 || len(st.Errors) > 0 || len(st.Rosters) != 3 {
		t.Errorf("status %+v", st)
	}
	if got := readSteps(t, filepath.Join(s.dir, "metrics.jsonl")); len(got) != 20 || !slices.IsSorted(got) || got[19] != 20 {
		t.Errorf("metrics.jsonl holds steps %d", got)
	}
	m, err := checkpoint.Latest(t.Context(), s.store, "j")
	if err != nil || m.Step != 20 || m.DataHash != "dd" || m.Digest != digestAt(20) {
		t.Errorf("the newest checkpoint is %+v, %v", m, err)
	}
	until(t, "all are released", func() bool { return n1.last().Released && n4.last().Released })
}

// A checkpoint whose node died is stored by another one that keeps a copy.
func TestHolderIsAskedForAMissingChunk(t *testing.T) {
	s := begin(t)
	n1, n2, n3 := s.node("n1"), s.node("n2"), s.node("n3")
	s.submit(wire.JobInfo{ID: "j", Spec: aSpec(t, nil), Identity: "ee", Steps: 20})
	s.in("n1 n2 n3", n1, n2, n3)
	each([]*puppet{n1, n2, n3}, func(p *puppet) { p.step(5); p.save(5, false) })
	var asked *puppet
	until(t, "a holder is asked", func() bool {
		for _, p := range []*puppet{n1, n2, n3} {
			if a := p.last(); a.WantStep == 5 && slices.Equal(a.WantChunks, []int{0}) {
				asked = p
			}
		}
		return asked != nil
	})
	asked.save(5, true)
	until(t, "step 5 is saved", func() bool { return n1.last().SavedStep == 5 })
}

func TestDrillHoldsRankZeroAndKillsTheLeader(t *testing.T) {
	s := begin(t)
	n1 := s.node("n1")
	drills, err := job.ParseDrills("kill=coordinator@3,join=n2@4")
	if err != nil {
		t.Fatal(err)
	}
	s.submit(wire.JobInfo{ID: "j", Spec: aSpec(t, func(s *job.Spec) { s.Nodes = 1 }), Identity: "ee", Steps: 20, Drills: drills})
	s.in("n1", n1)
	was := s.leader()
	n1.step(2) // step 3 is under way
	until(t, "the leader dies", func() bool {
		select {
		case <-s.run[was].done:
			return true
		default:
			return false
		}
	})
	n1.step(4)
	n1.set(func(b *wire.Beat) { b.Holding = 4 })
	until(t, "rank 0 is held", func() bool { a := n1.last(); return a.HoldAfter == 4 && a.Hold })
	n2 := s.node("n2", func(b *wire.Beat) { b.JoinAfter = 4 })
	until(t, "rank 0 is let go", func() bool { a := n1.last(); return a.HoldAfter == 4 && !a.Hold })
	s.in("n1 n2", n1, n2)
	if st := s.status(); len(st.Fired) != 1 || st.Fired[0] != drills[0] || st.Leader.ID == s.peers[was].ID {
		t.Errorf("fired %v under leader %s", st.Fired, st.Leader.ID)
	}
}

func TestStopEndsTheJobAndASubmissionReopensIt(t *testing.T) {
	s := begin(t)
	info := wire.JobInfo{ID: "j", Spec: aSpec(t, func(s *job.Spec) { s.Nodes = 1 }), Identity: "ee", Steps: 20}
	n1 := s.node("n1")
	s.submit(info)
	s.in("n1", n1)
	n1.step(3)
	if _, err := s.request(VerbStop, StopRequest{Reason: "Ctrl-C"}); err != nil {
		t.Fatal(err)
	}
	until(t, "rank 0 is told", func() bool { return n1.last().Stop })
	n1.step(4)
	n1.set(func(b *wire.Beat) { b.Finished = true })
	n1.save(4, true)
	until(t, "the end", func() bool { return s.status().Phase == PhaseEnded })
	n1.kill()
	s.submit(info)
	n1 = s.node("n1", func(b *wire.Beat) { b.Step, b.Digest = 4, digestAt(4) })
	s.in("n1", n1)
	if st := s.status(); st.Phase != PhaseTraining || st.Saved != 4 || st.Roster.Number.Count != 2 {
		t.Errorf("status %+v", st)
	}
}

func TestWhoCannotTakePartIsRefused(t *testing.T) {
	s := begin(t)
	n1, n2 := s.node("n1"), s.node("n2")
	s.submit(wire.JobInfo{ID: "j", Spec: aSpec(t, func(s *job.Spec) { s.Nodes = 2 }), Identity: "ee", Steps: 20})
	s.in("n1 n2", n1, n2)
	for want, change := range map[string]func(*wire.Beat){
		"give different bits":   func(b *wire.Beat) { b.Probe, b.Host = "bb", "there" },
		"trains job identity":   func(b *wire.Beat) { b.Identity = "ff" },
		"cluster trains job j,": func(b *wire.Beat) { b.Job = "k" },
	} {
		p := s.node("odd", change)
		until(t, want, func() bool { return strings.Contains(p.last().Refused, want) })
		p.set(func(b *wire.Beat) { b.Error = "refused" })
		p.kill()
	}
	if st := s.status(); st.Phase != PhaseTraining || len(st.Roster.Members) != 2 {
		t.Errorf("status %+v", st)
	}
	if _, err := s.request(VerbSubmit, wire.JobInfo{ID: "j", Identity: "other"}); err == nil || !strings.Contains(err.Error(), "another identity") {
		t.Errorf("another identity: err = %v", err)
	}
	if _, err := s.request(VerbSubmit, wire.JobInfo{ID: "k"}); err == nil || !strings.Contains(err.Error(), "start others") {
		t.Errorf("another job: err = %v", err)
	}
}

func TestJobFailsOnAMembersErrorAndOnTwoDigests(t *testing.T) {
	for want, hurt := range map[string]func(*wire.Beat){
		"no space left": func(b *wire.Beat) { b.Error, b.Leaving = "no space left", true },
		"has digest":    func(b *wire.Beat) { b.Step, b.Digest = 1, digestAt(9) },
	} {
		t.Run(want, func(t *testing.T) {
			s := begin(t)
			n1, n2 := s.node("n1"), s.node("n2")
			s.submit(wire.JobInfo{ID: "j", Spec: aSpec(t, func(s *job.Spec) { s.Nodes = 2 }), Identity: "ee", Steps: 20})
			s.in("n1 n2", n1, n2)
			n1.step(1)
			n2.set(hurt)
			until(t, "the job fails", func() bool { return s.status().Phase == PhaseFailed })
			if st := s.status(); !strings.Contains(st.End.Error, want) {
				t.Errorf("it ended with %q", st.End.Error)
			}
			until(t, "the other is told", func() bool { return strings.Contains(n1.last().Refused, want) })
		})
	}
}

func TestOpenRefusesATakenPort(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	ps := peers(t, 1)
	for _, p := range []Peer{{"c1", taken.Addr().String(), ps[0].NATS}, {"c1", ps[0].Raft, taken.Addr().String()}} {
		_, err := Open(t.Context(), Config{ID: "c1", Peers: []Peer{p}, Dir: t.TempDir(), Store: &objstore.Mem{}, OutputDir: t.TempDir(), Log: quiet})
		if err == nil || !strings.Contains(err.Error(), "in use") {
			t.Errorf("err = %v", err)
		}
	}
	if _, err := Open(t.Context(), Config{ID: "x", Peers: ps, Log: quiet}); err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("a coordinator that is not among its peers: err = %v", err)
	}
}
