package wire

import (
	"context"
	"errors"
	"slices"
	"syscall"
	"testing"
	"time"

	"carillon/job"
)

// soon is what "within milliseconds" may take at most on a busy machine.
const soon = time.Second

// A process that is killed is noticed by its broken connections, long before
// any deadline, both by who is in an exchange with it and by who is not.
func TestAKilledProcessIsNoticedAtOnce(t *testing.T) {
	me := open(t, "me")
	c, formChild := startChild(t, "child")
	peers := []Peer{{"me", me.Addr()}, c.peer}
	broken := make(chan job.NodeID, 10)
	m, err := me.Form(within(t, 5*time.Second), number(1), peers, func(id job.NodeID, _ error) { broken <- id })
	if err != nil {
		t.Fatal(err)
	}
	formChild(peers)
	m.Begin(1, 0)
	if _, err := m.Exchange(within(t, 5*time.Second), hop0, toOthers(2, 0, []byte("me")), []int{1}); err != nil {
		t.Fatal(err)
	}
	result := make(chan error, 1)
	go func() {
		for {
			if _, err := m.Exchange(within(t, time.Minute), hop0, toOthers(2, 0, []byte("me")), []int{1}); err != nil {
				result <- err
				return
			}
		}
	}()
	killed := time.Now()
	c.cmd.Process.Kill()
	if err := <-result; !slices.Equal(Suspects(err), []job.NodeID{"child"}) {
		t.Errorf("err = %v; want one that names the child", err)
	}
	if took := time.Since(killed); took > soon {
		t.Errorf("the exchange went on for %v after the kill", took)
	} else {
		t.Logf("noticed after %v", took)
	}
	if id := <-broken; id != "child" {
		t.Errorf("broken said %s", id)
	}
	m.Close()
	if len(broken) > 0 {
		t.Error("broken was called twice")
	}
}

// A stopped process reads nothing and closes nothing.
func TestAStoppedProcessBlocksNobody(t *testing.T) {
	me := open(t, "me")
	c, formChild := startChild(t, "child")
	peers := []Peer{{"me", me.Addr()}, c.peer}
	m, err := me.Form(within(t, 5*time.Second), number(1), peers, nil)
	if err != nil {
		t.Fatal(err)
	}
	formChild(peers)
	if got, err := me.Ask(within(t, 5*time.Second), c.peer, "echo", []byte("hello")); err != nil || string(got) != "hello" {
		t.Fatalf("ask: %q, %v", got, err)
	}
	c.cmd.Process.Signal(syscall.SIGSTOP)
	defer c.cmd.Process.Signal(syscall.SIGCONT)

	atMost(t, "exchange", 100*time.Millisecond, func(ctx context.Context) error {
		m.Begin(1, 0)
		m.out[1].window = 1 << 40 // so that the socket fills up, which credits prevent
		_, err := m.Exchange(ctx, hop0, [][]byte{nil, make([]byte, 64<<20)}, []int{1})
		if !slices.Equal(Suspects(err), []job.NodeID{"child"}) {
			t.Errorf("err = %v; want one that names the child", err)
		}
		return err
	})
	atMost(t, "ask", 100*time.Millisecond, func(ctx context.Context) error {
		_, err := me.Ask(ctx, c.peer, "echo", nil)
		return err
	})
	atMost(t, "tell without end", 100*time.Millisecond, func(ctx context.Context) (err error) {
		for err == nil {
			err = me.Tell(ctx, c.peer, "echo", make([]byte, 512<<10))
		}
		return err
	})
	other := open(t, "other") // which has no connection to it yet
	atMost(t, "form", 100*time.Millisecond, func(ctx context.Context) error {
		_, err := other.Form(ctx, number(1), []Peer{{"other", other.Addr()}, c.peer}, nil)
		return err
	})
	atMost(t, "close", 0, func(context.Context) error { me.Close(); return context.DeadlineExceeded })
}

// atMost runs fn, which should end with its deadline, and not much later.
func atMost(t *testing.T, what string, d time.Duration, fn func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	start := time.Now()
	err := fn(ctx)
	if took := time.Since(start); took > d+soon {
		t.Errorf("%s: took %v, want about %v", what, took, d)
	}
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%s: err = %v, want deadline exceeded", what, err)
	}
}

// Close in one goroutine frees an exchange that is stuck in a write.
func TestCloseFreesAStuckWrite(t *testing.T) {
	me := open(t, "me")
	c, formChild := startChild(t, "child")
	peers := []Peer{{"me", me.Addr()}, c.peer}
	m, err := me.Form(within(t, 5*time.Second), number(1), peers, func(id job.NodeID, err error) { t.Errorf("broken: %s: %v", id, err) })
	if err != nil {
		t.Fatal(err)
	}
	formChild(peers)
	c.cmd.Process.Signal(syscall.SIGSTOP)
	defer c.cmd.Process.Signal(syscall.SIGCONT)
	m.Begin(1, 0)
	m.out[1].window = 1 << 40
	result := make(chan error, 1)
	go func() {
		_, err := m.Exchange(context.Background(), hop0, [][]byte{nil, make([]byte, 64<<20)}, nil)
		result <- err
	}()
	var last uint64
	eventually(t, func() bool { // until the sockets are full
		now := m.BytesSent()
		stuck := now > 0 && now == last
		last = now
		return stuck
	})
	start := time.Now()
	m.Close()
	if err := <-result; !errors.Is(err, ErrClosed) {
		t.Errorf("err = %v, want closed", err)
	}
	if took := time.Since(start); took > soon {
		t.Errorf("close took %v", took)
	}
}

func TestBothSidesOfABrokenConnectionHearOfIt(t *testing.T) {
	links, peers := group(t, 3)
	broken := make(chan job.NodeID, 10)
	meshes := form(t, links, peers, 1, func(r int) func(job.NodeID, error) {
		return func(id job.NodeID, _ error) {
			if r != 2 {
				broken <- id
			}
		}
	})
	links[2].Close()
	for range 2 {
		if id := <-broken; id != "n2" {
			t.Errorf("broken said %s, want n2", id)
		}
	}
	for r := range 2 {
		if _, err := meshes[r].Exchange(t.Context(), hop0, make([][]byte, 3), []int{1 - r}); !slices.Equal(Suspects(err), []job.NodeID{"n2"}) {
			t.Errorf("rank %d: err = %v; want one that names n2", r, err)
		}
	}
	two := form(t, links[:2], peers[:2], 2, nil)
	noErrors(t, everyRank(2, func(r int) error {
		_, err := two[r].Exchange(within(t, time.Second), hop0, toOthers(2, r, []byte{}), others(2, r))
		return err
	}))
}

// Who leaves still gets the last sum from those who are in the next roster already.
func TestALeaverGetsWhatWasSentToIt(t *testing.T) {
	links, peers := group(t, 2)
	meshes := form(t, links, peers, 1, nil)
	for _, m := range meshes {
		m.Begin(1, 0)
	}
	last := make([]byte, minWindow)
	if _, err := meshes[0].Exchange(within(t, 5*time.Second), hop0, [][]byte{nil, last}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := links[0].Form(within(t, 5*time.Second), number(2), peers[:1], nil); err != nil {
		t.Fatal(err)
	}
	if in, err := meshes[1].Exchange(within(t, 5*time.Second), hop0, make([][]byte, 2), []int{0}); err != nil || len(in[0]) != len(last) {
		t.Errorf("the leaver got %d bytes, %v; want %d", len(in[0]), err, len(last))
	}
}

// A peer that was gone before Form ended is reported like any other.
func TestAPeerThatBreaksWhileFormingIsReported(t *testing.T) {
	links, peers := group(t, 2)
	if _, err := links[0].Form(within(t, time.Second), number(1), peers, nil); err != nil {
		t.Fatal(err)
	}
	k := links[0].links[peers[1]]
	links[1].Close()
	eventually(t, func() bool { return !k.alive() })
	told := make(chan error, 1)
	k.watch(func(err error) { told <- err })
	if err := <-told; err == nil {
		t.Error("watch says nothing of a link that has ended")
	}
}
