package wire

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"carillon/job"
	"carillon/roster"
)

func serve(t *testing.T) *Hub {
	t.Helper()
	h, err := Serve(HubConfig{Listen: "127.0.0.1:0", Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

// council is some coordinators, of which leader leads (-1: none).
type council struct {
	hubs   []*Hub
	leader atomic.Int32
}

func newCouncil(t *testing.T, n int) *council {
	c := &council{}
	for i := range n {
		h := serve(t)
		c.hubs = append(c.hubs, h)
		h.HandleBeat(func(b Beat) Answer {
			return Answer{Leader: c.leads(i), LeaderAddr: c.leaderAddr(), Recorded: b.Step, SavedStep: uint64(i)}
		})
		h.Handle("submit", func(p []byte) ([]byte, error) {
			if !c.leads(i) {
				return nil, &NotLeader{Addr: c.leaderAddr()}
			}
			if len(p) == 0 {
				return nil, errors.New("an empty job")
			}
			return append([]byte("got "), p...), nil
		})
	}
	return c
}

func (c *council) leads(i int) bool { return int(c.leader.Load()) == i }

func (c *council) leaderAddr() string {
	if i := c.leader.Load(); i >= 0 {
		return c.hubs[i].Addr()
	}
	return ""
}

func (c *council) addrs() (a []string) {
	for _, h := range c.hubs {
		a = append(a, h.Addr())
	}
	return a
}

func dial(t *testing.T, self job.NodeID, coordinators ...string) *Control {
	t.Helper()
	c, err := Dial(ControlConfig{Coordinators: coordinators, Job: testJob, Self: self, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestBeatsFindTheLeader(t *testing.T) {
	council := newCouncil(t, 3)
	c := dial(t, "n0", council.addrs()...)
	for _, leader := range []int{0, 2, 1, 0} {
		council.leader.Store(int32(leader))
		eventually(t, func() bool { // the first time it may not be connected yet
			a, err := c.Beat(within(t, time.Second), Beat{Job: testJob, ID: "n0", Step: 7})
			return err == nil && a.Leader && a.SavedStep == uint64(leader) && a.Recorded == 7
		})
	}
	council.leader.Store(-1)
	a, err := c.Beat(within(t, time.Second), Beat{ID: "n0"})
	if !errors.Is(err, ErrNoLeader) || a.Version != Version {
		t.Errorf("without a leader: %+v, %v; want a follower's answer and %v", a, err, ErrNoLeader)
	}
	council.hubs[0].Close()
	council.leader.Store(1)
	if _, err := c.Beat(within(t, time.Second), Beat{ID: "n0"}); err != nil {
		t.Errorf("with a coordinator gone: %v", err)
	}
}

func TestRequestsGoToTheLeader(t *testing.T) {
	council := newCouncil(t, 3)
	council.leader.Store(2)
	c := dial(t, "", council.addrs()...)
	got, err := c.Request(within(t, 5*time.Second), "submit", []byte("j1"))
	if err != nil || string(got) != "got j1" {
		t.Errorf("got %q, %v", got, err)
	}
	var remote *RemoteError
	if _, err := c.Request(within(t, 5*time.Second), "submit", nil); !errors.As(err, &remote) || remote.Text != "an empty job" {
		t.Errorf("err = %v, want the handler's own", err)
	}
	council.leader.Store(-1)
	if _, err := c.Request(within(t, 200*time.Millisecond), "submit", []byte("j1")); !errors.Is(err, ErrNoLeader) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("err = %v; want no leader until the deadline", err)
	}
}

func TestRostersArePushedOnceAndInOrder(t *testing.T) {
	council := newCouncil(t, 3)
	c := dial(t, "n0", council.addrs()...)
	for _, h := range c.hubs {
		eventually(t, func() bool { return h.nc.IsConnected() && h.nc.FlushTimeout(time.Second) == nil })
	}
	want := roster.Roster{Number: number(3), Kind: roster.Forced, Members: []roster.Member{{ID: "n0", Addr: "a", Lanes: []int{0, 1}}}, Reason: "first"}
	for _, h := range council.hubs {
		if err := h.Publish(testJob, want); err != nil {
			t.Fatal(err)
		}
		if err := h.Publish("another", roster.Roster{Number: number(9)}); err != nil {
			t.Fatal(err)
		}
	}
	if got := <-c.Rosters(); got.Number != want.Number || len(got.Members) != 1 || got.Reason != "first" {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for _, n := range []uint32{2, 3, 4} { // an old one, the same, and a new one
		council.hubs[1].Publish(testJob, roster.Roster{Number: number(n)})
	}
	if got := <-c.Rosters(); got.Number != number(4) {
		t.Errorf("got roster %v, want 1.4 and neither of the others", got.Number)
	}
}

func TestALostControlConnectionIsToldAtOnce(t *testing.T) {
	h := serve(t)
	gone := make(chan job.NodeID, 10)
	h.HandleGone(func(id job.NodeID) { gone <- id })
	h.HandleBeat(func(Beat) Answer { return Answer{Leader: true} })
	for _, id := range []job.NodeID{"", "n0"} {
		c := dial(t, id, h.Addr())
		eventually(t, func() bool {
			_, err := c.Beat(within(t, time.Second), Beat{ID: job.NodeID(c.name)})
			return err == nil
		})
		start := time.Now()
		c.hubs[0].raw.kill() // as the kernel does when the process is killed
		if id == "" {
			continue // a user's command is not a node
		}
		if got := <-gone; got != id {
			t.Errorf("gone: %q, want %q", got, id)
		}
		t.Logf("told after %v", time.Since(start))
	}
}

func TestAControlComesBackByItself(t *testing.T) {
	h := serve(t)
	addr := strings.TrimPrefix(h.Addr(), "nats://")
	leads := func(Beat) Answer { return Answer{Leader: true} }
	h.HandleBeat(leads)
	c := dial(t, "n0", "127.0.0.1:1", h.Addr()) // nobody is at the first
	beats := func() bool { _, err := c.Beat(within(t, time.Second), Beat{ID: "n0"}); return err == nil }
	eventually(t, beats)
	h.Close()
	if beats() {
		t.Error("a closed coordinator answers")
	}
	again, err := Serve(HubConfig{Listen: addr, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	again.HandleBeat(leads)
	eventually(t, beats)
}

// A coordinator that is stopped must not use up a beat's time.
func TestAStoppedCoordinatorIsPassedBy(t *testing.T) {
	council := newCouncil(t, 1)
	stopped := stoppedServer(t)
	c := dial(t, "n0", stopped, council.hubs[0].Addr())
	eventually(t, func() bool { return c.hubs[1].nc.IsConnected() })
	start := time.Now()
	if _, err := c.Beat(within(t, 5*time.Second), Beat{ID: "n0"}); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > beatPatience+soon {
		t.Errorf("the beat took %v", took)
	}
	start = time.Now()
	c.Close()
	if took := time.Since(start); took > soon {
		t.Errorf("close took %v", took)
	}
}

// stoppedServer greets clients as a NATS server does, answers one PING, and is
// silent from then on.
func stoppedServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			io.WriteString(conn, `INFO {"server_id":"x","version":"2.15.2","max_payload":1048576,"headers":true,"proto":1}`+"\r\nPONG\r\n")
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return "nats://" + l.Addr().String()
}

func TestAnotherVersionIsRefused(t *testing.T) {
	h := serve(t)
	h.HandleBeat(func(Beat) Answer { return Answer{Leader: true} })
	c := dial(t, "n0", h.Addr())
	eventually(t, func() bool { return c.hubs[0].nc.IsConnected() })
	old, _ := json.Marshal(Beat{Version: Version + 1, ID: "n0"})
	reply, err := c.hubs[0].request(t.Context(), time.Second, beatSubject("n0"), old)
	var a Answer
	if err != nil || json.Unmarshal(reply, &a) != nil || !strings.Contains(a.Refused, "one version of carillon") {
		t.Errorf("got %s, %v; want a refusal", reply, err)
	}
}

func FuzzReply(f *testing.F) {
	f.Add(wrapReply([]byte("x"), nil))
	f.Add(wrapReply(nil, &NotLeader{"a"}))
	f.Add(wrapReply(nil, errors.New("e")))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := openReply(b); err == nil && string(got) != string(b[1:]) {
			t.Errorf("%q opens as %q", b, got)
		}
	})
}
