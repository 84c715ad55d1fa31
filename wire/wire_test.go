package wire

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"carillon/allreduce"
	"carillon/job"
)

// childVariable makes the test binary a node that can be stopped and killed.
const childVariable = "CARILLON_WIRE_TEST_CHILD"

func TestMain(m *testing.M) {
	if id := os.Getenv(childVariable); id != "" {
		runChild(job.NodeID(id))
		return
	}
	goleak.VerifyTestMain(m)
}

const testJob = job.ID("j1")

var quiet = slog.New(slog.DiscardHandler)

func open(t testing.TB, id job.NodeID) *Links {
	t.Helper()
	l, err := Open(Config{Job: testJob, Self: id, Listen: "127.0.0.1:0", Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// group opens n nodes, n0 to n(n-1).
func group(t testing.TB, n int) ([]*Links, []Peer) {
	t.Helper()
	links, peers := make([]*Links, n), make([]Peer, n)
	for i := range n {
		id := job.NodeID(fmt.Sprintf("n%d", i))
		links[i] = open(t, id)
		peers[i] = Peer{id, links[i].Addr()}
	}
	return links, peers
}

func number(count uint32) job.RosterNumber { return job.RosterNumber{Incarnation: 1, Count: count} }

// within is a context for what must not last.
func within(t testing.TB, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func form(t testing.TB, links []*Links, peers []Peer, count uint32, broken func(rank int) func(job.NodeID, error)) []*Mesh {
	t.Helper()
	meshes := make([]*Mesh, len(links))
	errs := everyRank(len(links), func(r int) (err error) {
		var tell func(job.NodeID, error)
		if broken != nil {
			tell = broken(r)
		}
		meshes[r], err = links[r].Form(within(t, 5*time.Second), number(count), peers, tell)
		return err
	})
	noErrors(t, errs)
	return meshes
}

// everyRank runs fn on all ranks at once.
func everyRank(n int, fn func(rank int) error) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for r := range n {
		wg.Go(func() { errs[r] = fn(r) })
	}
	wg.Wait()
	return errs
}

func noErrors(t testing.TB, errs []error) {
	t.Helper()
	for r, err := range errs {
		if err != nil {
			t.Errorf("rank %d: %v", r, err)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}

// others lists all ranks of n but r.
func others(n, r int) (ranks []int) {
	for i := range n {
		if i != r {
			ranks = append(ranks, i)
		}
	}
	return ranks
}

// toOthers is message to every rank of n but r.
func toOthers(n, r int, message []byte) [][]byte {
	out := make([][]byte, n)
	for _, i := range others(n, r) {
		out[i] = message
	}
	return out
}

var hop0 = allreduce.Hop{Phase: allreduce.PhaseExponents}

// child is a node in a process of its own.
type child struct {
	peer Peer
	cmd  *exec.Cmd
}

// runChild is the child's whole program: it opens Links, forms the roster that
// it reads from stdin (number, then one "id addr" a member), takes part in
// exchanges until one fails, and goes on living until stdin ends.
func runChild(id job.NodeID) {
	l, err := Open(Config{Job: testJob, Self: id, Listen: "127.0.0.1:0", Log: quiet})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	l.Handle("echo", func(_ job.NodeID, payload []byte) ([]byte, error) { return payload, nil })
	fmt.Println(l.Addr())
	in := bufio.NewScanner(os.Stdin)
	var peers []Peer
	for in.Scan() && in.Text() != "form" {
		id, addr, _ := strings.Cut(in.Text(), " ")
		peers = append(peers, Peer{job.NodeID(id), addr})
	}
	m, err := l.Form(context.Background(), number(1), peers, nil)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	fmt.Println("formed")
	for err == nil {
		m.Begin(1, 0)
		_, err = m.Exchange(context.Background(), hop0, toOthers(m.Size(), m.Rank(), []byte("child")), others(m.Size(), m.Rank()))
	}
	for in.Scan() {
	}
}

// startChild starts a node's process and returns once its server listens. form
// then tells it whom to form a roster with, and returns once it has.
func startChild(t testing.TB, id job.NodeID) (c child, form func([]Peer)) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+string(id))
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		cmd.Process.Kill()
		cmd.Wait()
	})
	lines := bufio.NewScanner(stdout)
	lines.Scan()
	return child{Peer{id, lines.Text()}, cmd}, func(peers []Peer) {
		t.Helper()
		for _, p := range peers {
			fmt.Fprintln(stdin, p.ID, p.Addr)
		}
		io.WriteString(stdin, "form\n")
		if lines.Scan(); lines.Text() != "formed" {
			t.Fatalf("child: %s", lines.Text())
		}
	}
}
