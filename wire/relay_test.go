package wire

import (
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"carillon/job"
	"carillon/pki"
	"carillon/pki/pkitest"
	"carillon/roster"
)

// away opens a node that listens nowhere.
func away(t testing.TB, id job.NodeID, identity *pki.Identity, parted func(error), hubs ...string) (*Links, Peer) {
	t.Helper()
	l, err := Open(Config{Job: testJob, Self: id, Hubs: hubs, Parted: parted, Identity: identity, Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l, Peer{id, l.Addr()}
}

// meet exchanges messages between all, with big ones among them, and puts questions.
func meet(t *testing.T, links []*Links, peers []Peer) {
	t.Helper()
	for i, l := range links {
		l.Handle("echo", func(from job.NodeID, p []byte) ([]byte, error) {
			return append([]byte(string(peers[i].ID)+" heard "+string(from)+" "), p...), nil
		})
	}
	meshes := form(t, links, peers, 1, nil)
	noErrors(t, everyRank(len(links), func(r int) error {
		meshes[r].Begin(1, 0)
		big := slices.Repeat([]byte{byte(r)}, 3*frameData+17)
		in, err := meshes[r].Exchange(within(t, 10*time.Second), hop0, toOthers(len(links), r, big), others(len(links), r))
		for _, i := range others(len(links), r) {
			if err == nil && (len(in[i]) != len(big) || in[i][0] != byte(i)) {
				err = errors.New("a message is not whole")
			}
		}
		for i, p := range peers {
			if err != nil || i == r {
				continue
			}
			var got []byte
			got, err = links[r].Ask(within(t, 5*time.Second), p, "echo", []byte("x"))
			if want := string(p.ID) + " heard " + string(peers[r].ID) + " x"; err == nil && string(got) != want {
				t.Errorf("answer %q, want %q", got, want)
			}
		}
		return err
	}))
}

// Nodes to which nobody can connect work with each other, and with one that listens.
func TestNodesMeetAtCoordinators(t *testing.T) {
	a := pkitest.New(t)
	hubs := []string{councilor(t, a, true).Addr(), councilor(t, a, true).Addr()}
	links, peers := make([]*Links, 4), make([]Peer, 4)
	for i, id := range []job.NodeID{"n1-a", "n2-b", "m:0-c"} { // a device of a machine m
		links[i], peers[i] = away(t, id, a.Identity(t, "node/"+strings.TrimSuffix(id.Name(), ":0")), nil, hubs...)
		if !strings.HasPrefix(peers[i].Addr, "hub://127.0.0.1:") {
			t.Errorf("%s is at %s", id, peers[i].Addr)
		}
	}
	links[3], peers[3] = secured(t, a, "n4-d")
	meet(t, links, peers)
}

func TestNodesMeetAtACoordinatorOfLoopback(t *testing.T) {
	h, err := Serve(HubConfig{Listen: "127.0.0.1:0", Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	links, peers := make([]*Links, 2), make([]Peer, 2)
	for i, id := range []job.NodeID{"n1-a", "n2-b"} {
		links[i], peers[i] = away(t, id, nil, nil, h.Addr())
	}
	meet(t, links, peers)
}

// At a coordinator's server nobody speaks, hears or answers as another.
func TestNobodyIsAnotherAtACoordinator(t *testing.T) {
	a := pkitest.New(t)
	h := councilor(t, a, false)
	l, p := away(t, "n1-a", a.Identity(t, "node/n1"), nil, h.Addr())
	n3 := a.Identity(t, "node/n3")
	for _, name := range []string{"@n1-a", "@n3-x.>", "@~v", "@@n3-x", "@"} {
		if _, err := rogue(t, n3, h.Addr(), name); err == nil {
			t.Errorf("n3's certificate was let in as %q", name)
		}
	}
	evil, err := rogue(t, n3, h.Addr(), "@n3-e")
	if err != nil {
		t.Fatal(err)
	}
	mustNotHear := func(*nats.Msg) { t.Error("an impostor hears what is not for it") }
	for _, subject := range []string{frameSubject(testJob, "n1-a", "*"), askSubject(testJob, "n1-a", "*", "*"), "carillon.>", "_INBOX.>", inboxAt("n1-a", "n3-e") + ".>", rosterSubject("*")} {
		if _, err := evil.Subscribe(subject, mustNotHear); err != nil {
			t.Fatal(err)
		}
	}
	lies := []string{
		frameSubject(testJob, "n1-a", "n2-b"), askSubject(testJob, "n1-a", "hello", "n2-b"), inboxAt("n1-a", "n2-b") + ".x",
		inboxOf("n1-a") + ".x", beatSubject("n1-a"), beatSubject("n3-e"), rosterSubject(testJob), controlPrefix + string(Users) + ".cancel",
	}
	if err := evil.FlushTimeout(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	before := h.Refused()
	for _, subject := range lies {
		if err := evil.Publish(subject, []byte("lie")); err != nil {
			t.Fatal(err)
		}
	}
	if err := evil.FlushTimeout(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	if got := h.Refused() - before; got != uint64(len(lies)) {
		t.Errorf("%d of %d lies were refused", got, len(lies))
	}
	honest, _ := away(t, "n2-b", a.Identity(t, "node/n2"), nil, h.Addr()) // something to hear
	l.Handle("truth", func(job.NodeID, []byte) ([]byte, error) { return []byte("told"), nil })
	if got, err := honest.Ask(within(t, 5*time.Second), p, "truth", nil); err != nil || string(got) != "told" {
		t.Errorf("%q, %v", got, err)
	}
	if err := h.Publish(testJob, roster.Roster{Number: number(1)}); err != nil {
		t.Fatal(err)
	}

	// An answer goes to the inbox of who asked, whatever the question says.
	l.Handle("echo", func(_ job.NodeID, p []byte) ([]byte, error) { return p, nil })
	stolen := &nats.Msg{Subject: askSubject(testJob, p.ID, "echo", "n3-e"), Reply: controlPrefix + string(Users) + ".cancel", Data: []byte("x")}
	if err := evil.PublishMsg(stolen); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() bool { return l.Refused() >= 1 })
	if err := evil.FlushTimeout(5 * time.Second); err != nil { // what it may hear has come
		t.Fatal(err)
	}
}

// The end of what carries a node's frames is not the node's; that of its Control is.
func TestTheEndOfALinkIsNotTheNodes(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(t *testing.T) (*Hub, func(name string) *pki.Identity)
	}{
		{"certificates", func(t *testing.T) (*Hub, func(string) *pki.Identity) {
			a := pkitest.New(t)
			return councilor(t, a, false), func(name string) *pki.Identity { return a.Identity(t, name) }
		}},
		{"loopback", func(t *testing.T) (*Hub, func(string) *pki.Identity) {
			h, err := Serve(HubConfig{Listen: "127.0.0.1:0", Log: quiet})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(h.Close)
			h.HandleBeat(func(Beat) Answer { return Answer{Leader: true} })
			return h, func(string) *pki.Identity { return nil }
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, identity := tt.make(t)
			gone := make(chan job.NodeID, 16)
			h.HandleGone(func(id job.NodeID) { gone <- id })
			n1 := identity("node/n1")
			l, _ := away(t, "n1-a", n1, nil, h.Addr())
			_, other := away(t, "n2-b", identity("node/n2"), nil, h.Addr())
			_, _ = l.Ask(within(t, 5*time.Second), other, "nothing", nil) // connects
			control := asker(t, h, n1, "n1-a")
			if _, err := control.Beat(within(t, 5*time.Second), Beat{ID: "n1-a", Version: Version}); err != nil {
				t.Fatal(err)
			}
			l.Close()
			control.Close()
			if id := <-gone; id != "n1-a" {
				t.Errorf("%s is said to be gone, want n1-a alone", id)
			}
		})
	}
}

// A node whose coordinator ends hears of it, for nobody reaches it any more.
func TestANodeHearsThatItsCoordinatorEnds(t *testing.T) {
	a := pkitest.New(t)
	h := councilor(t, a, false)
	parted := make(chan error, 1)
	away(t, "n1-a", a.Identity(t, "node/n1"), func(err error) { parted <- err }, h.Addr())
	h.Close()
	if err := <-parted; !strings.Contains(err.Error(), "through which the others reach this node") {
		t.Error(err)
	}
}

// A node does not stay at a coordinator that was revoked.
func TestANodePartsFromARevokedCoordinator(t *testing.T) {
	a := pkitest.New(t)
	h := councilor(t, a, false)
	n1, parted := a.Identity(t, "node/n1"), make(chan error, 1)
	l, _ := away(t, "n1-a", n1, func(err error) { parted <- err }, h.Addr())
	l.Expel()
	select {
	case err := <-parted:
		t.Errorf("it parts from one that is trusted: %v", err)
	default:
	}
	n1.RevokeAll([]string{"coordinator/c1"})
	l.Expel()
	<-parted
}

// What is for a node comes through however slowly, as long as something does.
func TestASlowReaderIsNotCutOff(t *testing.T) {
	h, err := Serve(HubConfig{Listen: "127.0.0.1:0", Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	parted := make(chan error, 1)
	l, p := away(t, "n1-a", nil, func(err error) { parted <- err }, slowly(t, h.Addr()))
	got := make(chan int, 64)
	l.Handle("take", func(_ job.NodeID, b []byte) ([]byte, error) { got <- len(b); return nil, nil })
	other, _ := away(t, "n2-b", nil, nil, h.Addr())
	p.Addr = relayed + strings.TrimPrefix(h.Addr(), "nats://") // the other is not slow
	const messages, size = 24, 1 << 20
	for range messages {
		if err := other.Tell(within(t, 10*time.Second), p, "take", make([]byte, size)); err != nil {
			t.Fatal(err)
		}
	}
	for range messages {
		select {
		case <-got:
		case err := <-parted:
			t.Fatal(err)
		}
	}
}

// slowly is a way to addr that lets some megabytes a second through towards who dials.
func slowly(t *testing.T, addr string) string {
	t.Helper()
	at, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { at.Close(); all.Wait() })
	all.Go(func() {
		for {
			in, err := at.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", strings.TrimPrefix(addr, "nats://"))
			if err != nil {
				in.Close()
				return
			}
			all.Go(func() { io.Copy(out, in); out.Close() })
			all.Go(func() {
				defer in.Close()
				for tick := time.Tick(10 * time.Millisecond); ; <-tick {
					if _, err := io.CopyN(in, out, 64<<10); err != nil {
						return
					}
				}
			})
		}
	})
	return "nats://" + at.Addr().String()
}

// Coordinators that are away are passed over; if all are, each is named.
func TestACoordinatorThatAnswersIsFound(t *testing.T) {
	a := pkitest.New(t)
	n1 := a.Identity(t, "node/n1")
	dead := councilor(t, a, false)
	nobody := dead.Addr()
	dead.Close()
	h := councilor(t, a, false)
	for _, hubs := range [][]string{{nobody, h.Addr()}, {h.Addr(), nobody}} {
		if _, p := away(t, "n1-a", n1, nil, hubs...); p.Addr != "hub://"+strings.TrimPrefix(h.Addr(), "nats://") {
			t.Errorf("it is at %s", p.Addr)
		}
	}
	_, err := Open(Config{Job: testJob, Self: "n1-a", Hubs: []string{nobody}, Identity: n1, Log: quiet})
	if err == nil || !strings.Contains(err.Error(), nobody) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("nobody is there: %v", err)
	}
}
