package coordinator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"carillon/job"
	"carillon/ledger"
	"carillon/objstore"
	"carillon/objstore/dir"
	"carillon/pki"
	"carillon/pki/pkitest"
	"carillon/testtool"
	"carillon/wire"
)

// council is coordinators that find each other, in this process.
type council struct {
	t         *testing.T
	dir       string
	authority *pkitest.Authority // nil: without certificates
	store     objstore.Store
	join      []string
	members   map[string]*member
}

type member struct {
	council *council
	name    string
	hub     string // host:port
	kill    context.CancelFunc
	done    chan struct{}
	err     error // of Run; read after done
	opened  chan *Coordinator
}

// coordinator waits until it is open.
func (m *member) coordinator() *Coordinator {
	select {
	case c := <-m.opened:
		m.opened <- c
		return c
	case <-m.done:
		m.council.t.Fatalf("%s has ended: %v", m.name, m.err)
		return nil
	}
}

func newCouncil(t *testing.T, a *pkitest.Authority, names ...string) *council {
	c := &council{t: t, dir: t.TempDir(), authority: a, members: map[string]*member{}}
	var err error
	if c.store, err = dir.Open(filepath.Join(c.dir, "store")); err != nil {
		t.Fatal(err)
	}
	free := testtool.Ports(t, 2*len(names))
	for i, name := range names {
		c.members[name] = &member{council: c, name: name, hub: free[2*i]}
		c.join = append(c.join, "nats://"+c.members[name].hub)
	}
	for _, name := range names {
		c.members[name].start(filepath.Join(c.dir, name))
	}
	return c
}

// start runs it, which may have to wait for others.
func (m *member) start(folder string) {
	t := m.council.t
	cfg := Config{
		Council: &Council{Name: m.name, Listen: m.hub, Advertise: "127.0.0.1", Join: m.council.join},
		Dir:     folder, Store: m.council.store, StoreAt: "there", OutputDir: filepath.Join(folder, "jobs"), Log: quiet,
	}
	if a := m.council.authority; a != nil {
		certs := a.Issue(t, "coordinator/"+m.name)
		var err error
		if cfg.Identity, err = pki.Load(pki.FilesIn(certs)); err != nil {
			t.Fatal(err)
		}
		if cfg.Issuer, err = pki.OpenIssuer(certs); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.kill, m.done, m.opened = cancel, make(chan struct{}), make(chan *Coordinator, 1)
	cfg.Kill = cancel
	go func() {
		defer close(m.done)
		c, err := Open(ctx, cfg)
		if err == nil {
			m.opened <- c
			err = c.Run(ctx)
		}
		if ctx.Err() == nil {
			m.err = err
		}
	}()
	t.Cleanup(m.stop)
}

func (m *member) stop() {
	m.kill()
	<-m.done
	if m.err != nil && m.council.t.Failed() {
		m.council.t.Logf("%s had ended: %v", m.name, m.err)
	}
}

// control is a user's, or with self a machine's.
func (c *council) control(self job.NodeID) *wire.Control {
	cc := wire.ControlConfig{Coordinators: c.join, Self: self, Log: quiet}
	if c.authority != nil {
		role := "user/u"
		if self != "" {
			role = "node/" + self.Name()
		}
		cc.TLS = c.authority.Identity(c.t, role).Client(pki.Coordinator)
	}
	ctl, err := wire.Dial(cc)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(ctl.Close)
	return ctl
}

func (c *council) ask(ctl *wire.Control, verb string, payload, into any) error {
	c.t.Helper()
	var b []byte
	if s, ok := payload.(string); ok {
		b = []byte(s)
	} else if payload != nil {
		var err error
		if b, err = json.Marshal(payload); err != nil {
			c.t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), 30*time.Second)
	defer cancel()
	answer, err := ctl.Request(ctx, verb, b)
	if err == nil && into != nil {
		err = json.Unmarshal(answer, into)
	}
	return err
}

// cluster is what the leader says of it.
func (c *council) cluster(ctl *wire.Control) (all Cluster) {
	c.t.Helper()
	if err := c.ask(ctl, VerbCluster, nil, &all); err != nil {
		c.t.Fatal(err)
	}
	return all
}

func names(ps []ledger.Peer) (all []string) {
	for _, p := range ps {
		all = append(all, job.NodeID(p.ID).Name())
	}
	return all
}

func TestCoordinatorsFindEachOther(t *testing.T) {
	c := newCouncil(t, pkitest.New(t), "c1", "c2", "c3")
	u := c.control("")
	all := c.cluster(u)
	if !slices.Equal(names(all.Coordinators), []string{"c1", "c2", "c3"}) || all.Store != "there" {
		t.Errorf("%+v", all)
	}
	// One that was stopped goes on with its folder, as itself.
	was := all.Coordinators
	other := c.members["c1"]
	if all.Leader == "c1" {
		other = c.members["c2"]
	}
	other.stop()
	other.start(filepath.Join(c.dir, other.name))
	await(t, "it votes again", func() bool { return slices.Equal(c.cluster(u).Coordinators, was) && other.running() })
}

// running says whether it knows of three that vote.
func (m *member) running() bool { return len(m.voters()) == 3 }

// voters are the ids of those of whom it knows that they vote; none before it has a ledger.
func (m *member) voters() []string {
	cc := wire.ControlConfig{Coordinators: []string{"nats://" + m.hub}, Log: quiet}
	if a := m.council.authority; a != nil {
		cc.TLS = a.Identity(m.council.t, "coordinator/x").Client(pki.Coordinator)
	}
	ctl, err := wire.Dial(cc)
	if err != nil {
		return nil
	}
	defer ctl.Close()
	ctx, cancel := context.WithTimeout(m.council.t.Context(), 2*time.Second)
	defer cancel()
	answers, err := ctl.Each(ctx, wire.Voters, verbWho, nil)
	var w who
	if err != nil || len(answers) != 1 || json.Unmarshal(answers[0], &w) != nil || !w.Formed {
		return nil
	}
	return w.Voters
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(60 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%s: still not after a minute", what)
		}
	}
}

// A coordinator whose disk is lost comes back under its name as another voter.
func TestALostDiskIsReplaced(t *testing.T) {
	c := newCouncil(t, nil, "c1", "c2", "c3")
	u := c.control("")
	if err := c.ask(u, VerbSubmit, wire.JobInfo{ID: "kept"}, nil); err != nil {
		t.Fatal(err)
	}
	before := c.cluster(u)
	lost := c.members["c1"]
	id := before.Coordinators[0].ID
	lost.stop()
	if err := os.RemoveAll(filepath.Join(c.dir, "c1")); err != nil {
		t.Fatal(err)
	}
	lost.start(filepath.Join(c.dir, "c1"))
	await(t, "the new c1 instead of the old one", func() bool {
		now := c.cluster(u).Coordinators
		if !slices.Equal(names(now), []string{"c1", "c2", "c3"}) || now[0].ID == id {
			return false
		}
		for _, m := range c.members { // raft votes for nobody of whom it has not heard that he votes
			if !slices.Equal(m.voters(), []string{now[0].ID, now[1].ID, now[2].ID}) {
				return false
			}
		}
		return true
	})
	c.members["c2"].stop() // now the new one is needed
	var jobs []JobLine
	if err := c.ask(u, VerbJobs, nil, &jobs); err != nil || len(jobs) != 1 || jobs[0].ID != "kept" {
		t.Errorf("%+v, %v; want the job that was there before", jobs, err)
	}
}

func TestARemovedCoordinatorEnds(t *testing.T) {
	c := newCouncil(t, nil, "c1", "c2", "c3")
	u := c.control("")
	victim := "c1"
	if c.cluster(u).Leader == "c1" {
		victim = "c2"
	}
	c.members[victim].coordinator() // two may lead before the third knows of it: it would be let in anew
	if err := c.ask(u, VerbRemove, "c9", nil); err == nil || !strings.Contains(err.Error(), "c9") {
		t.Errorf("remove who is not there: %v", err)
	}
	if err := c.ask(u, VerbRemove, victim, nil); err != nil {
		t.Fatal(err)
	}
	<-c.members[victim].done
	if err := c.members[victim].err; err == nil || !strings.Contains(err.Error(), "was removed") {
		t.Errorf("it ends with %v, want that it was removed", err)
	}
	if now := names(c.cluster(u).Coordinators); len(now) != 2 || slices.Contains(now, victim) {
		t.Errorf("%v vote", now)
	}
}

// Two of three are a majority; one is none, and says so at once.
func TestAMinorityDecidesNothing(t *testing.T) {
	c := newCouncil(t, nil, "c1", "c2", "c3")
	u := c.control("")
	leader := c.cluster(u).Leader
	for name, m := range c.members {
		if name != leader {
			m.stop()
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	_, err := u.Request(ctx, VerbSubmit, []byte(`{"id":"j"}`))
	if !errors.Is(err, wire.ErrNoLeader) {
		t.Errorf("a minority answers %v, want that nobody leads", err)
	}
}

// machine asks for work as an agent does.
func (c *council) beat(ctl *wire.Control, b wire.Beat) wire.Answer {
	c.t.Helper()
	var a wire.Answer
	await(c.t, "an answer of the leader", func() bool {
		ctx, cancel := context.WithTimeout(c.t.Context(), time.Second)
		defer cancel()
		var err error
		a, err = ctl.Beat(ctx, b)
		return err == nil
	})
	return a
}

func TestJobsQueueForMachines(t *testing.T) {
	c := newCouncil(t, pkitest.New(t), "c1")
	u, m := c.control(""), c.control("m1-1")
	idle := wire.Beat{ID: "m1-1", Name: "m1", Host: "h", Devices: []string{"cpu:0"}, State: "idle"}
	if a := c.beat(m, idle); a.Job != nil {
		t.Errorf("work before there is any: %+v", a.Job)
	}
	spec := aSpec(t, nil)
	for _, id := range []job.ID{"a", "b", "d"} {
		if err := c.ask(u, VerbSubmit, wire.JobInfo{ID: id, Spec: spec, Steps: 30}, nil); err != nil {
			t.Fatal(err)
		}
	}
	if a := c.beat(m, idle); a.Job == nil || a.Job.ID != "a" {
		t.Fatalf("the first work is %+v, want job a", a.Job)
	}
	if a := c.beat(m, wire.Beat{ID: "m1-1", Name: "m1", Job: "b"}); !a.Released || a.Refused != "" {
		t.Errorf("at a job that waits: %+v, want released", a)
	}
	var s Status
	if err := c.ask(u, VerbStatus, "\"b\"", &s); err != nil || s.Job != "b" || !strings.Contains(s.Waiting, "job a") {
		t.Errorf("status of b: %+v, %v", s, err)
	}
	for _, id := range []job.ID{"d", "a"} { // one that waits, and the one that is worked on
		if err := c.ask(u, VerbStop, StopRequest{Job: id, Reason: "enough"}, nil); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "job b's turn", func() bool { a := c.beat(m, idle); return a.Job != nil && a.Job.ID == "b" })
	if a := c.beat(m, wire.Beat{ID: "m1-1", Name: "m1", Job: "a"}); !a.Released {
		t.Errorf("at a job that has ended: %+v, want released", a)
	}
	var jobs []JobLine
	if err := c.ask(u, VerbJobs, nil, &jobs); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, j := range jobs {
		got = append(got, fmt.Sprint(j.ID, " ", j.Phase))
	}
	if want := []string{"a ended", "b waiting", "d failed"}; !slices.Equal(got, want) {
		t.Errorf("jobs %q, want %q", got, want)
	}
}

func TestMachinesAreListedAndDrained(t *testing.T) {
	c := newCouncil(t, pkitest.New(t), "c1")
	u, m := c.control(""), c.control("m1-1")
	idle := wire.Beat{ID: "m1-1", Name: "m1", Host: "h", Devices: []string{"cpu:0"}, State: "idle"}
	c.beat(m, idle)
	if err := c.ask(u, VerbDrain, "m2", nil); err == nil || !strings.Contains(err.Error(), "only m1") {
		t.Errorf("drain who is not there: %v", err)
	}
	if a := c.beat(m, idle); a.Drain {
		t.Error("it is to leave before anybody said so")
	}
	if err := c.ask(u, VerbDrain, "m1", nil); err != nil {
		t.Fatal(err)
	}
	if a := c.beat(m, idle); !a.Drain {
		t.Error("it is not told to leave")
	}
	state := func() string {
		var all []Machine
		if err := c.ask(u, VerbMachines, nil, &all); err != nil || len(all) != 1 {
			t.Fatalf("%+v, %v", all, err)
		}
		return all[0].State
	}
	if s := state(); s != StateDraining {
		t.Errorf("its state is %s", s)
	}
	idle.Leaving = true
	c.beat(m, idle)
	m.Close()
	await(t, "it has left", func() bool { return state() == StateLeft })
}

func TestTokensThroughCoordinators(t *testing.T) {
	a := pkitest.New(t)
	c := newCouncil(t, a, "c1", "c2", "c3")
	u := c.control("")
	c.cluster(u)
	text := a.Token(t, []string{"c1"}, time.Hour, 2)
	token, err := pki.ParseToken(text)
	if err != nil {
		t.Fatal(err)
	}
	bare, err := wire.Dial(wire.ControlConfig{Coordinators: c.join, TLS: token.Client(), Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bare.Close)
	join := func(text, machine, folder string) error {
		request, err := pki.Request(folder)
		if err != nil {
			t.Fatal(err)
		}
		payload, _ := json.Marshal(Joining{Token: text, Machine: machine, Request: request})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		answer, err := bare.Join(ctx, payload)
		if err != nil {
			return err
		}
		var g pki.Granted
		if err := json.Unmarshal(answer, &g); err != nil {
			return err
		}
		return g.Keep(folder)
	}
	folders := []string{filepath.Join(c.dir, "m1"), filepath.Join(c.dir, "m2"), filepath.Join(c.dir, "m3")}
	if err := c.ask(u, VerbRevoke, "node/bad", nil); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ text, machine, folder, want string }{
		{text, "m1", folders[0], ""},
		{text, "bad", folders[1], "revoked"},
		{text, "m/2", folders[1], "name"},
		{pkitest.New(t).Token(t, []string{"c1"}, time.Hour, 2), "m2", folders[1], "another cluster"},
		{a.Token(t, []string{"c1"}, -time.Hour, 2), "m2", folders[1], "expired"},
		{text, "m2", folders[1], ""},
		{text, "m3", folders[2], "was used by 2 machines"},
		{text, "m3", folders[0], "was used by 2 machines"}, // the first one's key under another name
	} {
		if err := join(tt.text, tt.machine, tt.folder); (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s joins: %v, want %q", tt.machine, err, tt.want)
		}
	}
	id, err := pki.Load(pki.FilesIn(folders[0]))
	if err != nil {
		t.Fatal(err)
	}
	m, err := wire.Dial(wire.ControlConfig{Coordinators: c.join, Self: "m1-1", TLS: id.Client(pki.Coordinator), Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	c.beat(m, wire.Beat{ID: "m1-1", Name: "m1"})
	request, _ := pki.Request(folders[0])
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := m.Renew(ctx, "m1", request); err != nil {
		t.Errorf("renew: %v", err)
	}
	if uses := c.cluster(u).Tokens[token.ID]; uses != 2 {
		t.Errorf("the ledger has %d uses, want 2", uses)
	}
	// What is revoked is cut off, and stays so.
	if err := c.ask(u, VerbRevoke, "node/m1", nil); err != nil {
		t.Fatal(err)
	}
	await(t, "m1 is cut off", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := m.Beat(ctx, wire.Beat{ID: "m1-1", Name: "m1"})
		return err != nil
	})
}

// A coordinator that was started again, and does not know yet what was agreed on, refuses
// nobody.
func TestARestartRefusesNobody(t *testing.T) {
	c := newCouncil(t, nil, "c1")
	u := c.control("")
	if err := c.ask(u, VerbSubmit, wire.JobInfo{ID: "a", Spec: aSpec(t, nil), Steps: 30}, nil); err != nil {
		t.Fatal(err)
	}
	n := c.control("n1-1")
	beat := wire.Beat{ID: "n1-1", Name: "n1", Job: "a", State: "compiling"}
	c.beat(n, beat)
	c.members["c1"].stop()
	c.members["c1"].start(filepath.Join(c.dir, "c1"))
	await(t, "the leader's answer", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		a, err := n.Beat(ctx, beat)
		if a.Refused != "" {
			t.Fatalf("refused: %s", a.Refused)
		}
		return err == nil && a.Leader && a.Job != nil
	})
}

// One machine that cannot work does not end the job of others; one that is alone does,
// after some tries, and the next job begins with a clean slate.
func TestABrokenMachineDoesNotEndTheJobsOfOthers(t *testing.T) {
	c := newCouncil(t, nil, "c1")
	u := c.control("")
	for _, id := range []job.ID{"a", "b"} {
		if err := c.ask(u, VerbSubmit, wire.JobInfo{ID: id, Spec: aSpec(t, nil), Steps: 30}, nil); err != nil {
			t.Fatal(err)
		}
	}
	fails := func(id job.NodeID) {
		c.beat(c.control(id), wire.Beat{ID: id, Job: "a", Error: "no driver", Leaving: true})
	}
	healthy := c.control("ok-1")
	well := wire.Beat{ID: "ok-1", Job: "a", State: "compiling"}
	phase := func(id job.ID) string {
		var jobs []JobLine
		if err := c.ask(u, VerbJobs, nil, &jobs); err != nil {
			t.Fatal(err)
		}
		return jobs[slices.IndexFunc(jobs, func(j JobLine) bool { return j.ID == id })].Phase
	}
	c.beat(healthy, well)
	fails("bad-1")
	fails("bad-2")
	c.beat(healthy, well)
	if p := phase("a"); p != PhaseWaiting {
		t.Errorf("with one that is well, job a is %s", p)
	}
	fails("bad-3")
	await(t, "the end of a job that three nodes could not begin", func() bool { return phase("a") == PhaseFailed })
	c.beat(healthy, wire.Beat{ID: "ok-1", Job: "b", State: "compiling"})
	if p := phase("b"); p != PhaseWaiting {
		t.Errorf("the next job is %s", p)
	}
}

// A machine that was drained and comes back under its name stays.
func TestADrainedMachineMayComeBack(t *testing.T) {
	c := newCouncil(t, nil, "c1")
	u := c.control("")
	c.beat(c.control("m1-1"), wire.Beat{ID: "m1-1", Name: "m1"})
	if err := c.ask(u, VerbDrain, "m1", nil); err != nil {
		t.Fatal(err)
	}
	if a := c.beat(c.control("m1-2"), wire.Beat{ID: "m1-2", Name: "m1"}); a.Drain {
		t.Error("the next life of a drained machine is told to leave")
	}
}

func TestSubmissionsThatAreNone(t *testing.T) {
	c := newCouncil(t, nil, "c1")
	u := c.control("")
	for want, info := range map[string]wire.JobInfo{
		"small letters": {ID: "../../x"},
		"base model":    {ID: "a", DataHash: "d", Store: "/etc"},
	} {
		if err := c.ask(u, VerbSubmit, info, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", info, err, want)
		}
	}
	var got wire.JobInfo
	if err := c.ask(u, VerbSubmit, wire.JobInfo{ID: "a", Store: "/etc"}, &got); err != nil || got.Store != "there" {
		t.Errorf("%+v, %v; want the cluster's own store", got, err)
	}
}

func TestMetricsForPrometheus(t *testing.T) {
	c := newCouncil(t, nil, "c1")
	g := NewGauges()
	store := objstore.Counted(&objstore.Mem{}, g.Count)
	if err := store.PutIfAbsent(t.Context(), "a", strings.NewReader("four"), 4); err != nil {
		t.Fatal(err)
	}
	c.cluster(c.control("")) // it leads
	g.Of(c.members["c1"].coordinator())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Serve(ctx, l) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get("http://" + l.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	for _, want := range []string{"carillon_leads 1", "carillon_refused_total 0", `carillon_store_bytes_total{call="put"} 4`, `carillon_store_call_seconds_count{call="put",outcome="ok"} 1`} {
		if err != nil || !strings.Contains(string(text), want+"\n") {
			t.Errorf("no %s (%v)", want, err)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A machine that its cloud may take away soon has the job saved.
func TestAMachineAtRiskHasTheJobSaved(t *testing.T) {
	c := newCouncil(t, nil, "c1")
	u := c.control("")
	if err := c.ask(u, VerbSubmit, wire.JobInfo{ID: "a", Spec: aSpec(t, func(s *job.Spec) { s.Nodes = 1 }), Steps: 30}, nil); err != nil {
		t.Fatal(err)
	}
	n, m := c.control("n1-1"), c.control("m1-1")
	ready := wire.Beat{ID: "n1-1", Job: "a", Addr: "nats://127.0.0.1:1", Ready: true, Warm: true, Probe: "aa", State: "ready"}
	await(t, "a roster", func() bool { a := c.beat(n, ready); return a.Roster != nil })
	if a := c.beat(n, ready); a.Save {
		t.Error("a save is wanted before anything happened")
	}
	c.beat(m, wire.Beat{ID: "m1-1", AtRisk: true})
	if a := c.beat(n, ready); !a.Save {
		t.Error("rank 0 is not told to save")
	}
	c.beat(m, wire.Beat{ID: "m1-1", AtRisk: true})
	if a := c.beat(n, ready); a.Save {
		t.Error("one risk is told twice")
	}
}
