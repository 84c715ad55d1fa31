package systest

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"carillon/agent"
	"carillon/backend"
	"carillon/coordinator"
	"carillon/job"
	"carillon/launch"
	"carillon/objstore/dir"
	"carillon/spot"
	"carillon/testtool"
	"carillon/wire"
)

// cluster is one coordinator in this process, to which machines come.
type cluster struct {
	t    *testing.T
	hubs []string
	at   string // its store's folder
	user *wire.Control
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	folder := t.TempDir()
	at := filepath.Join(folder, "store")
	store, err := dir.Open(at)
	if err != nil {
		t.Fatal(err)
	}
	hub := testtool.Ports(t, 2)[0]
	c := &cluster{t: t, hubs: []string{"nats://" + hub}, at: at}
	ctx, cancel := context.WithCancel(context.Background())
	co, err := coordinator.Open(ctx, coordinator.Config{
		Council: &coordinator.Council{Name: "c1", Listen: hub, Join: c.hubs}, Dir: folder, Store: store, StoreAt: at,
		OutputDir: filepath.Join(folder, "jobs"), Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- co.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	if c.user, err = wire.Dial(wire.ControlConfig{Coordinators: c.hubs, Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.user.Close)
	return c
}

// ask asks the coordinator, as a user.
func (c *cluster) ask(verb string, payload []byte, into any) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	b, err := c.user.Request(ctx, verb, payload)
	if err == nil && into != nil {
		err = json.Unmarshal(b, into)
	}
	return err
}

func (c *cluster) status() (s coordinator.Status) {
	c.t.Helper()
	if err := c.ask(coordinator.VerbStatus, nil, &s); err != nil {
		c.t.Fatal(err)
	}
	return s
}

// until waits for a status.
func (c *cluster) until(what string, ok func(coordinator.Status) bool) (s coordinator.Status) {
	c.t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(2 * time.Minute)
	for s = c.status(); !ok(s); s = c.status() {
		select {
		case <-tick.C:
		case <-limit:
			c.t.Fatalf("%s: still not after two minutes: %+v", what, s)
		}
	}
	return s
}

// machine is an agent in this process; its nodes are processes.
type machine struct {
	leave chan string
	done  chan struct{}
	err   error // read after done
	log   *syncBuffer
}

// machine starts one; how may change what it is started with.
func (c *cluster) machine(name, devices string, how ...func(*agent.Config)) *machine {
	c.t.Helper()
	ds, err := agent.ParseDevices(devices)
	if err != nil {
		c.t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	m := &machine{leave: make(chan string, 1), done: make(chan struct{}), log: &syncBuffer{}}
	ctx, cancel := context.WithCancel(context.Background())
	cfg := agent.Config{
		Name: name, Coordinators: c.hubs, Dir: c.t.TempDir(), Devices: ds, Command: []string{exe}, Cloud: spot.None,
		Backend: backend.Options{Offline: true}, Output: m.log, Log: slog.New(slog.NewTextHandler(m.log, nil)),
	}
	for _, change := range how {
		change(&cfg)
	}
	go func() { defer close(m.done); m.err = agent.Run(ctx, cfg, m.leave) }()
	c.t.Cleanup(func() {
		cancel()
		<-m.done
		if m.err != nil {
			c.t.Errorf("machine %s: %v", name, m.err)
		}
		if c.t.Failed() {
			c.t.Logf("machine %s:\n%s", name, m.log.String())
		}
	})
	return m
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}
func (s *syncBuffer) String() string { s.mu.Lock(); defer s.mu.Unlock(); return s.b.String() }

// submit gives a job to the cluster; the result comes when it has ended.
func (c *cluster) submit(id job.ID, s job.Spec) <-chan launch.Result {
	c.t.Helper()
	r := start(c.t, s, 1, "")
	r.Job = id
	got := make(chan launch.Result, 1)
	go func() {
		res, err := launch.Submit(context.Background(), r.Config, c.user, true)
		if err != nil {
			c.t.Errorf("job %s: %v", id, err)
		}
		got <- res
	}()
	return got
}

// ofThree is a long job that begins when three nodes are ready, and waits for no more.
var ofThree = append([]string{"max_nodes=3"}, long...)

// Jobs are worked on one after another by machines that stay; a node that is killed is
// another one when it comes back.
func TestAClusterTakesJobAfterJob(t *testing.T) {
	want := alone(t, spec(t, long...))
	c := startCluster(t)
	c.machine("m1", "go:3")
	first := c.submit("one", spec(t, ofThree...))
	s := c.until("three nodes train", func(s coordinator.Status) bool { return len(s.Roster.Members) == 3 && s.Step > 1 })
	second := c.submit("two", spec(t, ofThree...))
	victim := s.Members[slices.IndexFunc(s.Members, func(m coordinator.Member) bool { return m.Name == "m1:1" && m.Rank >= 0 })]
	if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for id, got := range map[string]<-chan launch.Result{"one": first, "two": second} {
		if res := <-got; res.AdapterSHA256 != want.adapter || res.Steps != longSteps {
			t.Errorf("job %s: adapter %s after %d steps, want %s after %d", id, res.AdapterSHA256, res.Steps, want.adapter, longSteps)
		}
	}
	var again bool
	for _, m := range c.members() {
		again = again || m.Name == victim.Name && m.ID != victim.ID
	}
	if !again {
		t.Error("the node that was killed did not come back as another")
	}
}

// Machines to which nobody can connect train with others, and lose nodes, all the same.
func TestMachinesThatNobodyReaches(t *testing.T) {
	want := alone(t, spec(t, long...))
	c := startCluster(t)
	c.machine("away", "go:2", func(cfg *agent.Config) { cfg.Hub = true })
	c.machine("m1", "go")
	got := c.submit("one", spec(t, ofThree...))
	s := c.until("three nodes train", func(s coordinator.Status) bool { return len(s.Roster.Members) == 3 && s.Step > 1 })
	for _, m := range s.Roster.Members {
		if strings.HasPrefix(m.Addr, "hub://") != strings.HasPrefix(m.Name, "away") {
			t.Errorf("%s is reached at %s", m.Name, m.Addr)
		}
	}
	victim := s.Members[slices.IndexFunc(s.Members, func(m coordinator.Member) bool { return m.Name == "away:1" && m.Rank >= 0 })]
	if err := syscall.Kill(victim.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if res := <-got; res.AdapterSHA256 != want.adapter || res.Steps != longSteps {
		t.Errorf("adapter %s after %d steps, want %s after %d", res.AdapterSHA256, res.Steps, want.adapter, longSteps)
	}
}

// members are all nodes that the coordinator remembers of the job that is led.
func (c *cluster) members() []coordinator.Member { return c.status().Members }

// Machines leave while they train, one after another, the last one too: no step is lost,
// and who comes later goes on.
func TestMachinesLeaveAndTheJobGoesOn(t *testing.T) {
	want := alone(t, spec(t, long...))
	c := startCluster(t)
	machines := []*machine{c.machine("m1", "go:2"), c.machine("m2", "go")}
	got := c.submit("one", spec(t, ofThree...))
	c.until("three nodes train", func(s coordinator.Status) bool { return len(s.Roster.Members) == 3 && s.Step > 0 })
	machines[0].leave <- "a test"
	<-machines[0].done
	s := c.until("one node is left", func(s coordinator.Status) bool { return len(s.Roster.Members) == 1 })
	if err := c.ask(coordinator.VerbDrain, []byte("m2"), nil); err != nil {
		t.Fatal(err)
	}
	<-machines[1].done
	s = c.until("nobody is left", func(s coordinator.Status) bool { return s.Phase == coordinator.PhaseWaiting })
	if s.Saved == 0 || s.Saved >= longSteps {
		t.Errorf("step %d is saved when all have left, want one in the middle", s.Saved)
	}
	c.machine("m3", "go:3")
	res := <-got
	if res.AdapterSHA256 != want.adapter || res.Steps != longSteps {
		t.Errorf("adapter %s after %d steps, want %s after %d", res.AdapterSHA256, res.Steps, want.adapter, longSteps)
	}
	for _, r := range res.Rosters {
		if strings.Contains(r, "lost") || strings.Contains(r, "failed") {
			t.Errorf("a roster that nobody's leaving explains: %s", r)
		}
	}
}
