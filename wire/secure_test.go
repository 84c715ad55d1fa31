package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"carillon/job"
	"carillon/pki"
	"carillon/pki/pkitest"
	"carillon/roster"
)

// secured opens a node with a certificate for its machine, listening everywhere.
func secured(t testing.TB, a *pkitest.Authority, id job.NodeID) (*Links, Peer) {
	t.Helper()
	l, err := Open(Config{Job: testJob, Self: id, Listen: "0.0.0.0:0", Advertise: "127.0.0.1", Identity: a.Identity(t, "node/"+id.Name()), Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l, Peer{id, l.Addr()}
}

func TestNodesExchangeOverTLS(t *testing.T) {
	a := pkitest.New(t)
	links, peers := make([]*Links, 3), make([]Peer, 3)
	for i, id := range []job.NodeID{"n1-a", "n2-b", "m:0-c"} {
		if i == 2 { // a device of a machine m
			l, err := Open(Config{Job: testJob, Self: id, Listen: "127.0.0.1:0", Identity: a.Identity(t, "node/m"), Log: quiet})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(l.Close)
			links[i], peers[i] = l, Peer{id, l.Addr()}
			continue
		}
		links[i], peers[i] = secured(t, a, id)
	}
	meshes := form(t, links, peers, 1, nil)
	big := make([]byte, 3*frameData+17)
	noErrors(t, everyRank(3, func(r int) error {
		meshes[r].Begin(1, 0)
		in, err := meshes[r].Exchange(within(t, 10*time.Second), hop0, toOthers(3, r, big), others(3, r))
		for _, i := range others(3, r) {
			if err == nil && len(in[i]) != len(big) {
				err = errors.New("a message is not whole")
			}
		}
		return err
	}))
	links[0].Handle("echo", func(from job.NodeID, p []byte) ([]byte, error) { return append([]byte(from+" "), p...), nil })
	got, err := links[1].Ask(within(t, 5*time.Second), peers[0], "echo", []byte("x"))
	if err != nil || string(got) != "n2-b x" {
		t.Errorf("%q, %v", got, err)
	}
}

// rogue connects to a node's server with a certificate, under a name of its choice.
func rogue(t *testing.T, id *pki.Identity, addr, name string) (*nats.Conn, error) {
	t.Helper()
	opts := append(secure(id.Client(pki.Node, pki.Coordinator)), nats.Name(name), silent, nats.NoReconnect(), nats.Timeout(5*time.Second))
	nc, err := nats.Connect(addr, opts...)
	if err == nil {
		t.Cleanup(nc.Close)
	}
	return nc, err
}

func TestNobodyConnectsAsAnother(t *testing.T) {
	a := pkitest.New(t)
	l, p := secured(t, a, "n1-a")
	n2 := a.Identity(t, "node/n2")
	for _, name := range []string{"n1-a", "n3-x", "n22-x", "n2-x.>", "n2-*", "", "~v"} {
		if _, err := rogue(t, n2, p.Addr, name); err == nil {
			t.Errorf("n2's certificate was let in as %q", name)
		}
	}
	for _, role := range []string{"user/u", "coordinator/c"} {
		if _, err := rogue(t, a.Identity(t, role), p.Addr, "n2-x"); err == nil {
			t.Errorf("%s was let in at a node", role)
		}
	}
	if _, err := rogue(t, pkitest.New(t).Identity(t, "node/n2"), p.Addr, "n2-x"); err == nil {
		t.Error("a node of another cluster was let in")
	}
	if _, err := nats.Connect(p.Addr, nats.Timeout(2*time.Second), silent); err == nil {
		t.Error("a client without TLS was let in")
	}
	if n := l.Refused(); n < 9 {
		t.Errorf("%d refusals are counted, want at least 9", n)
	}
	if _, err := rogue(t, n2, p.Addr, "n2-x"); err != nil {
		t.Errorf("n2 as itself: %v", err)
	}
}

// A member that speaks as another one, or repeats or spoils what was said, is not heard;
// and the exchange of the others goes on.
func TestFramesOfImpostorsAreDropped(t *testing.T) {
	a := pkitest.New(t)
	links, peers := make([]*Links, 2), make([]Peer, 2)
	for i, id := range []job.NodeID{"n1-a", "n2-b"} {
		links[i], peers[i] = secured(t, a, id)
	}
	meshes := form(t, links, peers, 1, nil)
	meshes[0].Begin(1, 0)
	evil, err := rogue(t, a.Identity(t, "node/n3"), peers[0].Addr, "n3-e")
	if err != nil {
		t.Fatal(err)
	}
	forged := trailer{job: links[0].hash, roster: number(1), op: op{1, 0}, hop: hop0, pieces: 1, source: 1}.seal([]byte("lie"))
	spoiled := append([]byte{}, forged...)
	spoiled[0] ^= 1
	for _, frame := range [][]byte{forged, forged, spoiled} {
		evil.Publish(frameSubject(testJob, "n1-a", "n3-e"), frame) // as itself: no member
		evil.Publish(frameSubject(testJob, "n1-a", "n2-b"), frame) // as n2: the server refuses it
	}
	evil.Publish(askSubject(testJob, "n1-a", "hello", "n2-b"), []byte("x"))
	if _, err := evil.Subscribe(frameSubject(testJob, "n1-a", "*"), func(*nats.Msg) { t.Error("an impostor hears frames") }); err != nil {
		t.Fatal(err)
	}
	if _, err := evil.Subscribe("_INBOX.>", func(*nats.Msg) { t.Error("an impostor hears answers") }); err != nil {
		t.Fatal(err)
	}
	if err := evil.FlushTimeout(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	noErrors(t, everyRank(2, func(r int) error {
		meshes[r].Begin(1, 0)
		in, err := meshes[r].Exchange(within(t, 10*time.Second), hop0, toOthers(2, r, []byte("truth")), others(2, r))
		if err == nil && string(in[1-r]) != "truth" {
			err = errors.New("it hears " + string(in[1-r]))
		}
		return err
	}))
	eventually(t, func() bool { return links[0].Refused() >= 6 && links[0].Dropped() >= 2 })
}

// councilor serves a coordinator's hub with a certificate.
func councilor(t *testing.T, a *pkitest.Authority, certifies bool) *Hub {
	t.Helper()
	h, err := Serve(HubConfig{Listen: "0.0.0.0:0", Advertise: "127.0.0.1", Identity: a.Identity(t, "coordinator/c1"), Certifies: certifies, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	h.HandleBeat(func(b Beat) Answer { return Answer{Leader: true, Recorded: b.Step} })
	h.Handle("status", func([]byte) ([]byte, error) { return []byte("well"), nil })
	h.HandleFrom(Voters, "who", func([]byte) ([]byte, error) { return []byte("me"), nil })
	h.HandleJoin(func(p []byte) ([]byte, error) { return append([]byte("joined "), p...), nil })
	h.HandleRenew(func(machine string, p []byte) ([]byte, error) { return append([]byte(machine+" "), p...), nil })
	return h
}

func asker(t *testing.T, h *Hub, id *pki.Identity, self job.NodeID) *Control {
	t.Helper()
	cc := ControlConfig{Coordinators: []string{h.Addr()}, Job: testJob, Self: self, Log: quiet}
	if id != nil {
		cc.TLS = id.Client(pki.Coordinator)
	}
	c, err := Dial(cc)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestWhatEachRoleMayAsk(t *testing.T) {
	a := pkitest.New(t)
	h := councilor(t, a, true)
	token, err := pki.ParseToken(a.Token(t, []string{"c1"}, time.Hour, 1))
	if err != nil {
		t.Fatal(err)
	}
	bare, err := Dial(ControlConfig{Coordinators: []string{h.Addr()}, TLS: token.Client(), Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(bare.Close)
	controls := map[string]*Control{
		"node": asker(t, h, a.Identity(t, "node/n1"), "n1-x"), "user": asker(t, h, a.Identity(t, "user/u"), ""),
		"coordinator": asker(t, h, a.Identity(t, "coordinator/c2"), ""), "nobody": bare,
	}
	for _, tt := range []struct {
		what string
		may  []string
		ask  func(context.Context, *Control) error
	}{
		{"beat", []string{"node"}, func(ctx context.Context, c *Control) error { _, err := c.Beat(ctx, Beat{ID: "n1-x"}); return err }},
		{"beat as another", nil, func(ctx context.Context, c *Control) error { _, err := c.Beat(ctx, Beat{ID: "n2-x"}); return err }},
		{"ask as a user", []string{"user", "coordinator"}, func(ctx context.Context, c *Control) error { _, err := c.Request(ctx, "status", nil); return err }},
		{"ask as a coordinator", []string{"coordinator"}, func(ctx context.Context, c *Control) error {
			_, err := c.RequestAs(ctx, Voters, "who", nil)
			return err
		}},
		{"join", []string{"nobody"}, func(ctx context.Context, c *Control) error { _, err := c.Join(ctx, nil); return err }},
		{"renew", []string{"node"}, func(ctx context.Context, c *Control) error { _, err := c.Renew(ctx, "n1", nil); return err }},
		{"renew for another", nil, func(ctx context.Context, c *Control) error { _, err := c.Renew(ctx, "n2", nil); return err }},
	} {
		for who, c := range controls {
			eventually(t, func() bool { return c.hubs[0].nc.IsConnected() })
			err := tt.ask(within(t, 400*time.Millisecond), c)
			if may := slices.Contains(tt.may, who); may != (err == nil) {
				t.Errorf("%s asks to %s: %v; may: %t", who, tt.what, err, may)
			}
		}
	}
}

// Nodes cannot tell others who trains.
func TestRostersAreTheCoordinatorsToPublish(t *testing.T) {
	a := pkitest.New(t)
	h := councilor(t, a, false)
	c := asker(t, h, a.Identity(t, "node/n1"), "n1-x")
	evil, err := rogue(t, a.Identity(t, "node/n2"), h.Addr(), "n2-e")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return c.hubs[0].nc.IsConnected() && c.hubs[0].nc.FlushTimeout(time.Second) == nil })
	evil.Publish(rosterSubject(testJob), []byte(`{"number":{"incarnation":9,"count":9}}`))
	if err := evil.FlushTimeout(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	want := roster.Roster{Number: number(3)}
	if err := h.Publish(testJob, want); err != nil {
		t.Fatal(err)
	}
	if got := <-c.Rosters(); got.Number != want.Number {
		t.Errorf("heard roster %v, want %v", got.Number, want.Number)
	}
}

func TestRevokedNamesAreCutOff(t *testing.T) {
	a := pkitest.New(t)
	h := councilor(t, a, false)
	gone := make(chan job.NodeID, 16)
	h.HandleGone(func(id job.NodeID) { gone <- id })
	c := asker(t, h, a.Identity(t, "node/n1"), "n1-x")
	stays := asker(t, h, a.Identity(t, "node/n2"), "n2-x")
	beats := func(c *Control, id job.NodeID) bool {
		_, err := c.Beat(within(t, time.Second), Beat{ID: id})
		return err == nil
	}
	eventually(t, func() bool { return beats(c, "n1-x") && beats(stays, "n2-x") })
	h.cfg.Identity.RevokeAll([]string{"node/n1"})
	h.Expel()
	if id := <-gone; id != "n1-x" {
		t.Errorf("%s is gone, want n1-x", id)
	}
	refused := h.Refused()
	eventually(t, func() bool { return h.Refused() > refused }) // it tries again
	if beats(c, "n1-x") {
		t.Error("a revoked node's beat was answered")
	}
	if !beats(stays, "n2-x") {
		t.Error("the other node's was not")
	}
}

// manyConnections is more than a server takes, unless this process may not open as many.
func manyConnections(t *testing.T) int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if most := int(limit.Cur / 3); most < 5000 {
		t.Logf("this process may open %d files: %d connections", limit.Cur, most)
		return most
	}
	return 5000
}

// Who connects and says nothing, or never ends, is dropped; who is in is served.
func TestSlowAndManyConnections(t *testing.T) {
	a := pkitest.New(t)
	l, p := secured(t, a, "n1-a")
	peer, _ := secured(t, a, "n2-b")
	l.Handle("echo", func(_ job.NodeID, b []byte) ([]byte, error) { return b, nil })
	if _, err := peer.Ask(within(t, 5*time.Second), p, "echo", []byte("x")); err != nil {
		t.Fatal(err)
	}
	addr := strings.TrimPrefix(p.Addr, "nats://")
	var wg sync.WaitGroup
	var mu sync.Mutex
	dropped, many := 0, manyConnections(t)
	for i := range many {
		wg.Go(func() {
			c, err := net.DialTimeout("tcp", addr, 5*time.Second)
			if err != nil {
				return
			}
			defer c.Close()
			c.SetDeadline(time.Now().Add(20 * time.Second))
			if i%2 == 0 {
				c.Write([]byte("C")) // else it says nothing
			}
			if _, err := io.Copy(io.Discard, c); !errors.Is(err, os.ErrDeadlineExceeded) {
				mu.Lock()
				dropped++
				mu.Unlock()
			}
		})
	}
	for range 20 {
		if _, err := peer.Ask(within(t, 5*time.Second), p, "echo", []byte("x")); err != nil {
			t.Errorf("beside slow connections: %v", err)
		}
	}
	wg.Wait()
	if dropped < many*9/10 {
		t.Errorf("%d of %d slow connections were dropped", dropped, many)
	}
}

func TestALargeMessageEndsItsConnectionOnly(t *testing.T) {
	a := pkitest.New(t)
	l, p := secured(t, a, "n1-a")
	peer, _ := secured(t, a, "n2-b")
	l.Handle("echo", func(_ job.NodeID, b []byte) ([]byte, error) { return b, nil })
	evil, err := rogue(t, a.Identity(t, "node/n3"), p.Addr, "n3-e")
	if err != nil {
		t.Fatal(err)
	}
	if err := evil.Publish(askSubject(testJob, "n1-a", "echo", "n3-e"), make([]byte, maxPayload+1)); !errors.Is(err, nats.ErrMaxPayload) {
		t.Errorf("a message of %d bytes: %v", maxPayload+1, err)
	}
	if _, err := peer.Ask(within(t, 5*time.Second), p, "echo", []byte("x")); err != nil {
		t.Error(err)
	}
}

// An answer goes to who asked, not to where a reply subject points.
func TestAnswersGoToTheAskersInboxOnly(t *testing.T) {
	a := pkitest.New(t)
	h := councilor(t, a, false)
	stopped := make(chan []byte, 1)
	h.Handle("stop", func(p []byte) ([]byte, error) { stopped <- p; return nil, nil })
	evil, err := rogue(t, a.Identity(t, "node/n2"), h.Addr(), "n2-e")
	if err != nil {
		t.Fatal(err)
	}
	beat := []byte(`{"version":2,"id":"n2-e"}`)
	refused := h.Refused()
	for _, to := range []string{controlPrefix + "ask.stop", inboxOf("n1-x") + ".1", inboxOf("n2-eve") + ".1"} {
		if err := evil.PublishMsg(&nats.Msg{Subject: beatSubject("n2-e"), Reply: to, Data: beat}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() bool { return h.Refused() >= refused+3 })
	reply, err := evil.SubscribeSync(inboxOf("n2-e") + ".1")
	if err != nil {
		t.Fatal(err)
	}
	evil.PublishMsg(&nats.Msg{Subject: beatSubject("n2-e"), Reply: inboxOf("n2-e") + ".1", Data: beat})
	if _, err := reply.NextMsg(5 * time.Second); err != nil {
		t.Errorf("its own inbox: %v", err)
	}
	select {
	case p := <-stopped:
		t.Errorf("a node has asked as a user, with %s", p)
	default:
	}
}

// Who is refused under a node's name does not make that node gone.
func TestARefusedImpostorIsNobodysEnd(t *testing.T) {
	a := pkitest.New(t)
	h := councilor(t, a, true)
	gone := make(chan job.NodeID, 16)
	h.HandleGone(func(id job.NodeID) { gone <- id })
	n1 := a.Identity(t, "node/n1")
	for _, name := range []string{"n2-x", "n2-y"} {
		if _, err := rogue(t, n1, h.Addr(), name); err == nil {
			t.Errorf("n1 is let in as %s", name)
		}
	}
	bare := append(secure(&tls.Config{InsecureSkipVerify: true}), nats.Name("n2-z"), nats.UserInfo("node/n2", ""), silent, nats.NoReconnect())
	if _, err := nats.Connect(h.Addr(), bare...); err == nil {
		t.Error("nobody is let in as n2-z")
	}
	own, err := rogue(t, n1, h.Addr(), "n1-x")
	if err != nil {
		t.Fatal(err)
	}
	own.Close()
	if id := <-gone; id != "n1-x" {
		t.Errorf("%s is said to be gone, want n1-x alone", id)
	}
}

// A node makes sure that it is the peer who answers at the peer's address.
func TestAnotherNodeAtThePeersAddress(t *testing.T) {
	a := pkitest.New(t)
	l, _ := secured(t, a, "n1-a")
	_, other := secured(t, a, "n3-c")
	_, err := l.Ask(within(t, 5*time.Second), Peer{"n2-b", other.Addr}, "hello", nil)
	if err == nil || !strings.Contains(err.Error(), "node/n3 answers there") {
		t.Errorf("%v, want that n3 answers", err)
	}
}

// Clients without a certificate are few, and stay for a while only.
func TestVisitorsAreFew(t *testing.T) {
	a := pkitest.New(t)
	h := councilor(t, a, true)
	in := 0
	for range maxVisitors + 8 {
		opts := append(secure(&tls.Config{InsecureSkipVerify: true}), nats.Name(visitor+"v"), silent, nats.NoReconnect())
		nc, err := nats.Connect(h.Addr(), opts...)
		if err == nil {
			in++
			defer nc.Close()
		}
	}
	if in != maxVisitors {
		t.Errorf("%d were let in, want %d", in, maxVisitors)
	}
	c := asker(t, h, a.Identity(t, "node/n1"), "n1-x")
	eventually(t, func() bool { _, err := c.Beat(within(t, time.Second), Beat{ID: "n1-x"}); return err == nil })
}
