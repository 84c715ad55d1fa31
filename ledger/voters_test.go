package ledger

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"carillon/pki"
	"carillon/pki/pkitest"
)

// secured are the configurations of voters with certificates.
func secured(t *testing.T, a *pkitest.Authority, ps []Peer, dir string) (all []Config) {
	for _, p := range ps {
		all = append(all, Config{ID: p.ID, Peers: ps, Identity: a.Identity(t, "coordinator/"+p.ID), Dir: filepath.Join(dir, p.ID), Log: slog.New(slog.DiscardHandler)})
	}
	return all
}

func openAll(t *testing.T, all []Config) (ls []*Ledger) {
	t.Helper()
	for _, c := range all {
		l, err := Open(c)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		ls = append(ls, l)
	}
	return ls
}

func TestVotersOverTLS(t *testing.T) {
	a := pkitest.New(t)
	ps := peers(t, 3)
	ls := openAll(t, secured(t, a, ps, t.TempDir()))
	at := leader(t, ls)
	propose(t, ls[at], Entry{Job: "j", Submit: &Submit{Steps: 7}})
	until(t, "the entry everywhere", ls, func() bool {
		return !slices.ContainsFunc(ls, func(l *Ledger) bool { s := l.State(); return s.Jobs["j"] == nil })
	})
	for _, role := range []string{"node/n1", "user/u"} { // nobody but a coordinator gets a word in
		c, err := tls.Dial("tcp", ps[at].Addr, a.Identity(t, role).Client(pki.Coordinator))
		if err == nil {
			c.SetDeadline(time.Now().Add(5 * time.Second))
			_, err = io.ReadAll(c)
			c.Close()
		}
		if err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s at raft's port: %v, want a refusal", role, err)
		}
	}
	plain, err := net.Dial("tcp", ps[at].Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	plain.Write([]byte{1, 2, 3, 4, 5, 6})
	plain.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.ReadAll(plain); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Error("a connection without TLS is kept open")
	}
	if ls[at].Term() == 0 {
		t.Error("the leader was disturbed")
	}
}

// A voter whose disk is lost comes back as another one, in the dead one's place.
func TestALostVoterIsReplaced(t *testing.T) {
	ps := peers(t, 4)
	first, dir := ps[:3], t.TempDir()
	ls := voters(t, first, dir)
	at := leader(t, ls)
	propose(t, ls[at], Entry{Job: "j", Submit: &Submit{Steps: 7}})
	dead := (at + 1) % 3
	if err := ls[dead].Close(); err != nil {
		t.Fatal(err)
	}
	fresh := Peer{ID: "fresh", Addr: ps[3].Addr}
	if Known(filepath.Join(dir, fresh.ID)) || !Known(filepath.Join(dir, first[at].ID)) {
		t.Error("which folders hold a ledger is not known")
	}
	if err := ls[at].Admit(fresh); err != nil {
		t.Fatal(err)
	}
	l, err := Open(Config{ID: fresh.ID, Addr: fresh.Addr, Dir: filepath.Join(dir, fresh.ID), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	until(t, "the new one knows the job", nil, func() bool { s := l.State(); return s.Jobs["j"] != nil })
	if slices.Contains(ls[at].Voters(), fresh) {
		t.Error("it votes before it was promoted")
	}
	if err := ls[at].Remove(first[dead].ID); err != nil {
		t.Fatal(err)
	}
	if err := ls[at].Promote(fresh); err != nil {
		t.Fatal(err)
	}
	want := slices.SortedFunc(slices.Values([]Peer{first[at], first[3-at-dead], fresh}), func(a, b Peer) int { return strings.Compare(a.ID, b.ID) })
	until(t, "three voters", nil, func() bool { return slices.Equal(ls[at].Voters(), want) && slices.Equal(l.Voters(), want) })
	propose(t, ls[at], Entry{Job: "k", Submit: &Submit{Steps: 7}})
}

func TestTokensAreCounted(t *testing.T) {
	var s State
	use := func(machine, request string, expires, now time.Time) error {
		return s.Apply(Entry{Version: Version, Time: now, Redeem: &Redeem{Token: "t", Machine: machine, Request: request, Uses: 2, Expires: expires}})
	}
	later := noon.Add(time.Hour)
	for i, tt := range []struct {
		machine, request string
		ok               bool
	}{{"a", "r1", true}, {"a", "r1", true}, {"b", "r2", true}, {"c", "r3", false}, {"b", "r2", true}} {
		if err := use(tt.machine, tt.request, later, noon); (err == nil) != tt.ok {
			t.Errorf("use %d by %s: %v, want ok: %t", i, tt.machine, err, tt.ok)
		}
	}
	if got := s.Tokens["t"].Machines; !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("used by %v", got)
	}
	before := s
	if err := s.Apply(Entry{Version: Version, Time: noon.Add(2 * time.Hour), Redeem: &Redeem{Token: "u", Machine: "d", Request: "r4", Uses: 1, Expires: noon.Add(3 * time.Hour)}}); err != nil {
		t.Fatal(err)
	}
	if _, known := s.Tokens["t"]; known || len(before.Tokens) != 1 {
		t.Errorf("%v and before %v; want the token that has expired forgotten, and the copy as it was", s.Tokens, before.Tokens)
	}
}

func TestJobsTakeTurns(t *testing.T) {
	s := State{}
	apply := func(e Entry) {
		t.Helper()
		e.Version, e.Time = Version, noon
		if err := s.Apply(e); err != nil {
			t.Fatal(err)
		}
	}
	current := func() string {
		if j := s.Current(); j != nil {
			return string(j.ID)
		}
		return ""
	}
	steps := []struct {
		do   Entry
		want string
	}{
		{Entry{Job: "a", Submit: &Submit{}}, "a"},
		{Entry{Job: "b", Submit: &Submit{}}, "a"},
		{Entry{Job: "a", Submit: &Submit{Steps: 3}}, "a"}, // more of it
		{Entry{Job: "c", Submit: &Submit{}}, "a"},
		{Entry{Job: "c", Stop: &Stop{"cancelled"}}, "a"}, // it waits: that is its end
		{Entry{Job: "a", End: &End{Step: 3}}, "b"},
		{Entry{Job: "a", Submit: &Submit{}}, "b"}, // once more: behind the others
		{Entry{Job: "b", End: &End{Step: 3}}, "a"},
		{Entry{Job: "a", End: &End{Error: "x"}}, "a"}, // nothing is left: the last one
	}
	if current() != "" {
		t.Errorf("%s is current before there is one", current())
	}
	for i, st := range steps {
		apply(st.do)
		if current() != st.want {
			t.Errorf("after %d: %s is current, want %s", i, current(), st.want)
		}
	}
}

// A job that everybody has left goes on with who comes.
func TestVacated(t *testing.T) {
	s := applyAll(t, append(begun(), Entry{Stop: &Stop{"all leave"}}, Entry{Vacate: &Vacate{}})...)
	for _, j := range s.Jobs {
		if j.Stop != nil || j.End != nil || len(j.Roster.Members) != 0 || j.Roster.Number != number(1) {
			t.Errorf("%+v", j)
		}
	}
}

func TestRevokedForEver(t *testing.T) {
	s := State{}
	for range 2 {
		if err := s.Apply(Entry{Version: Version, Revoke: &Revoke{Name: "node/n1"}}); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(s.Revoked, []string{"node/n1"}) {
		t.Errorf("revoked: %v", s.Revoked)
	}
}
