package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carillon/testtool"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// peers finds a free port for each of n voters.
func peers(t *testing.T, n int) (out []Peer) {
	t.Helper()
	for i, addr := range testtool.Ports(t, n) {
		out = append(out, Peer{ID: fmt.Sprintf("c%d", i+1), Addr: addr})
	}
	return out
}

// voters opens a ledger for each peer.
func voters(t *testing.T, ps []Peer, dir string) (out []*Ledger) {
	t.Helper()
	for _, p := range ps {
		l, err := Open(Config{ID: p.ID, Peers: ps, Dir: filepath.Join(dir, p.ID), Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		out = append(out, l)
	}
	return out
}

// until waits until ok is true, looking again at every change of any ledger.
func until(t *testing.T, what string, ls []*Ledger, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(20 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("%s: still not after 20 s", what)
		}
	}
}

// leader waits for one of ls to lead.
func leader(t *testing.T, ls []*Ledger) (at int) {
	t.Helper()
	until(t, "a leader", ls, func() bool {
		for i, l := range ls {
			if l.Term() > 0 {
				at = i
				return true
			}
		}
		return false
	})
	return at
}

func propose(t *testing.T, l *Ledger, e Entry) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := l.Propose(ctx, complete(e)); err != nil {
		t.Fatal(err)
	}
}

// What was agreed on survives the leader, and all voters at once, and a voter
// that was away hears of it.
func TestLedgerSurvivesItsLeaderAndARestart(t *testing.T) {
	ps, dir := peers(t, 3), t.TempDir()
	ls := voters(t, ps, dir)
	first := leader(t, ls)
	for _, e := range begun() {
		propose(t, ls[first], e)
	}
	began := time.Now()
	if err := ls[first].Close(); err != nil {
		t.Fatal(err)
	}
	rest := []*Ledger{ls[(first+1)%3], ls[(first+2)%3]}
	second := leader(t, rest)
	t.Logf("from the old leader's close to the new leader's readiness: %v", time.Since(began))
	propose(t, rest[second], Entry{Roster: aRoster(2, "a")})
	for _, l := range rest {
		l.Close()
	}

	ls = voters(t, ps, dir)
	until(t, "all know roster 2", ls, func() bool {
		for _, l := range ls {
			if j := l.State().Jobs["j"]; j == nil || j.Roster.Number != number(2) {
				return false
			}
		}
		return true
	})
}

func TestProposalToAFollowerAndAVoidOne(t *testing.T) {
	ls := voters(t, peers(t, 3), t.TempDir())
	at := leader(t, ls)
	until(t, "all know who leads", ls, func() bool {
		for _, l := range ls {
			if l.Leader() != fmt.Sprintf("c%d", at+1) {
				return false
			}
		}
		return true
	})
	ctx := t.Context()
	if err := ls[(at+1)%3].Propose(ctx, complete(begun()[0])); !errors.Is(err, ErrNotLeader) {
		t.Errorf("a follower answered %v", err)
	}
	if err := ls[at].Propose(ctx, complete(Entry{Stop: &Stop{}})); !errors.Is(err, ErrVoid) {
		t.Errorf("a void entry was answered with %v", err)
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	if err := ls[at].Propose(done, complete(begun()[0])); !errors.Is(err, context.Canceled) {
		t.Errorf("a proposal whose context had ended was answered with %v", err)
	}
}

// A leader without a majority fails proposals instead of holding them up.
func TestLeaderWithoutAMajorityStepsDown(t *testing.T) {
	ls := voters(t, peers(t, 3), t.TempDir())
	at := leader(t, ls)
	propose(t, ls[at], begun()[0])
	ls[(at+1)%3].Close()
	ls[(at+2)%3].Close()
	if err := ls[at].Propose(t.Context(), complete(begun()[1])); !errors.Is(err, ErrNotLeader) {
		t.Errorf("err = %v, want %v", err, ErrNotLeader)
	}
	if term := ls[at].Term(); term != 0 {
		t.Errorf("it still leads, in term %d", term)
	}
}

// One voter alone is a ledger too, and writes its state down whole now and then.
func TestOneVoterAndASnapshot(t *testing.T) {
	ps, dir := peers(t, 1), t.TempDir()
	ls := voters(t, ps, dir)
	leader(t, ls)
	for _, e := range begun() {
		propose(t, ls[0], e)
	}
	if err := ls[0].raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ls[0].Watch():
	default:
		t.Error("nothing was told of the changes")
	}
	ls[0].Close()
	ls = voters(t, ps, dir)
	leader(t, ls)
	if j := ls[0].State().Jobs["j"]; j == nil || j.Complete == nil || j.Complete.Step != 10 {
		t.Errorf("after a restart from a snapshot the job is %+v", j)
	}
}

func TestFolderIsForOneVoterAtATime(t *testing.T) {
	ps, dir := peers(t, 1), t.TempDir()
	ls := voters(t, ps, dir)
	leader(t, ls)
	l, err := Open(Config{ID: "c1", Peers: ps, Dir: filepath.Join(dir, "c1"), Log: slog.New(slog.DiscardHandler)})
	if err == nil {
		l.Close()
	}
	if err == nil || !strings.Contains(err.Error(), "another coordinator uses this folder") {
		t.Errorf("err = %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tt := range []struct {
		name, want string
		id         string
		peers      []Peer
	}{
		{"two voters", "want 1, or 3", "a", []Peer{{"a", "127.0.0.1:1"}, {"b", "127.0.0.1:2"}}},
		{"an address off loopback", "not on loopback", "a", []Peer{{"a", "10.0.0.1:1"}}},
		{"an address without a port", "missing port", "a", []Peer{{"a", "127.0.0.1"}}},
		{"a stranger", "not among its peers", "x", []Peer{{"a", "127.0.0.1:1"}}},
		{"a taken port", "address already in use", "a", []Peer{{"a", taken.Addr().String()}}},
	} {
		l, err := Open(Config{ID: tt.id, Peers: tt.peers, Dir: t.TempDir(), Log: slog.New(slog.DiscardHandler)})
		if err == nil {
			l.Close()
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: err = %v, want %q", tt.name, err, tt.want)
		}
	}
}
