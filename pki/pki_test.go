package pki

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority makes one.
func authority(t testing.TB) *Authority {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ca")
	if err := Init(dir); err != nil {
		t.Fatal(err)
	}
	a, err := OpenAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// issue makes a directory for a name and loads it.
func issue(t testing.TB, a *Authority, name string, life time.Duration) (*Identity, string) {
	t.Helper()
	n, err := ParseName(name)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "issued")
	if err := a.Issue(n, life, dir); err != nil {
		t.Fatal(err)
	}
	id, err := Load(FilesIn(dir))
	if err != nil {
		t.Fatal(err)
	}
	return id, dir
}

// shake connects two configurations over TCP and returns what either side says of it.
func shake(t testing.TB, server, client *tls.Config) (atServer, atClient error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			s := tls.Server(c, server)
			if err = s.Handshake(); err == nil {
				_, err = s.Write([]byte("x"))
			}
			c.Close()
		}
		done <- err
	}()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s := tls.Client(c, client)
	if atClient = s.Handshake(); atClient == nil {
		_, atClient = s.Read(make([]byte, 1)) // a server's refusal comes after the client's own end
	}
	return <-done, atClient
}

func TestWhoMayConnect(t *testing.T) {
	a, other := authority(t), authority(t)
	const year = DefaultLife
	c1, _ := issue(t, a, "coordinator/c1", year)
	for _, tt := range []struct {
		what, name string
		a          *Authority
		life       time.Duration
		roles      []Role
		refused    string // "": let in
	}{
		{"a node among nodes", "node/n1", a, year, []Role{Node}, ""},
		{"a user among users and nodes", "user/u", a, year, []Role{Node, User}, ""},
		{"a node among coordinators", "node/n1", a, year, []Role{Coordinator}, "may not speak here"},
		{"of another authority", "node/n1", other, year, []Role{Node}, "unknown authority"},
		{"expired", "node/n1", a, -time.Minute, []Role{Node}, "expired"},
	} {
		id, _ := issue(t, tt.a, tt.name, tt.life)
		before := c1.Refused()
		atServer, atClient := shake(t, c1.Server(false, tt.roles...), (&Identity{files: id.files, roots: c1.roots, own: id.own, looked: time.Now().Add(time.Hour)}).Client(Coordinator))
		switch {
		case tt.refused == "" && (atServer != nil || atClient != nil):
			t.Errorf("%s: refused: %v, %v", tt.what, atServer, atClient)
		case tt.refused != "" && (!errors.Is(atServer, ErrRefused) || !strings.Contains(atServer.Error(), tt.refused)):
			t.Errorf("%s: %v; want a refusal that says %q", tt.what, atServer, tt.refused)
		case tt.refused != "" && (atClient == nil || c1.Refused() != before+1):
			t.Errorf("%s: the client sees %v, %d refused; want an error and one more", tt.what, atClient, c1.Refused()-before)
		}
	}
}

// Who connects makes sure of the other side, too.
func TestClientsRefuseServers(t *testing.T) {
	a, other := authority(t), authority(t)
	n1, _ := issue(t, a, "node/n1", DefaultLife)
	for name, of := range map[string]*Authority{"node/n2": a, "coordinator/c1": other} {
		server, _ := issue(t, of, name, DefaultLife)
		if _, err := shake(t, server.Server(true, Node), n1.Client(Coordinator)); !errors.Is(err, ErrRefused) {
			t.Errorf("a server that is %s: %v, want a refusal", name, err)
		}
	}
}

func TestNoCertificate(t *testing.T) {
	c1, _ := issue(t, authority(t), "coordinator/c1", DefaultLife)
	bare := &tls.Config{InsecureSkipVerify: true}
	if atServer, _ := shake(t, c1.Server(false, Node), bare); atServer == nil {
		t.Error("a client without a certificate was let in")
	}
	if atServer, atClient := shake(t, c1.Server(true, Node), bare); atServer != nil || atClient != nil {
		t.Errorf("where anyone may come: %v, %v", atServer, atClient)
	}
	old := &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}
	if atServer, _ := shake(t, c1.Server(true, Node), old); atServer == nil {
		t.Error("TLS 1.2 was let in")
	}
}

func TestRevoked(t *testing.T) {
	a := authority(t)
	c1, _ := issue(t, a, "coordinator/c1", DefaultLife)
	n1, _ := issue(t, a, "node/n1", DefaultLife)
	if !c1.RevokeAll([]string{"node/n1"}) || c1.RevokeAll([]string{"node/n1"}) {
		t.Error("revoking is a change once")
	}
	if atServer, _ := shake(t, c1.Server(false, Node), n1.Client(Coordinator)); !errors.Is(atServer, ErrRefused) || !strings.Contains(atServer.Error(), "revoked") {
		t.Errorf("a revoked node: %v", atServer)
	}
	n2, _ := issue(t, a, "node/n2", DefaultLife)
	if atServer, _ := shake(t, c1.Server(false, Node), n2.Client(Coordinator)); atServer != nil {
		t.Errorf("another node: %v", atServer)
	}
}

// What certifies nodes cannot make a coordinator, a user or another authority.
func TestAnIssuerCertifiesNodesOnly(t *testing.T) {
	a := authority(t)
	c1, dir := issue(t, a, "coordinator/c1", DefaultLife)
	i, err := OpenIssuer(dir)
	if err != nil {
		t.Fatal(err)
	}
	now, err := i.read()
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		uri string
		ok  bool
	}{
		{"spiffe://node.carillon/n1", true},
		{"spiffe://coordinator.carillon/c9", false},
		{"spiffe://user.carillon/u", false},
		{"spiffe://issuer.carillon/c1", false},
	} {
		u, err := url.Parse(tt.uri)
		if err != nil {
			t.Fatal(err)
		}
		key, err := newKey()
		if err != nil {
			t.Fatal(err)
		}
		tmpl, err := template(pkix.Name{CommonName: "x"}, u, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, now.cert, key.Public(), now.key)
		if err != nil {
			t.Fatal(err)
		}
		own := &tls.Certificate{Certificate: [][]byte{der, now.cert.Raw}, PrivateKey: key}
		client := &Identity{roots: c1.roots, own: own, looked: time.Now().Add(time.Hour)}
		if atServer, _ := shake(t, c1.Server(false, Node, Coordinator, User, issuer), client.Client(Coordinator)); (atServer == nil) != tt.ok {
			t.Errorf("%s certified by an issuer: %v; want let in: %t", tt.uri, atServer, tt.ok)
		}
	}
}

func TestNamesOfCertificates(t *testing.T) {
	for _, name := range []string{"", "a b", "a.b", "a:b", "a/b", "*", "-a", strings.Repeat("a", 64), "ä"} {
		if CheckName(name) == nil {
			t.Errorf("%q passes for a name", name)
		}
	}
	for _, text := range []string{"n1", "nodes/n1", "issuer/c1", "node/", "node/a/b"} {
		if n, err := ParseName(text); err == nil {
			t.Errorf("%q parses as %v", text, n)
		}
	}
	bad := &x509.Certificate{URIs: []*url.URL{{Scheme: "https", Host: "node.carillon", Path: "/n1"}, {Scheme: "spiffe", Host: "king.carillon", Path: "/n1"}}}
	if n, err := NameOf(bad); err == nil || !strings.Contains(err.Error(), "king") {
		t.Errorf("a certificate of no role is of %v, %v", n, err)
	}
}

func TestFilesAreReadAgain(t *testing.T) {
	a, next := authority(t), authority(t)
	c1, dir := issue(t, a, "coordinator/c1", DefaultLife)
	n1, _ := issue(t, next, "node/n1", DefaultLife)
	client := n1.Client(Coordinator)
	client.VerifyConnection = nil
	if atServer, _ := shake(t, c1.Server(false, Node), client); !errors.Is(atServer, ErrRefused) {
		t.Fatalf("before: %v, want a refusal", atServer)
	}
	both := append(certPEM(a.cert.Raw), certPEM(next.cert.Raw)...) // an authority is being replaced
	if err := os.WriteFile(filepath.Join(dir, CAFile), both, 0o644); err != nil {
		t.Fatal(err)
	}
	c1.looked = time.Time{}
	if atServer, atClient := shake(t, c1.Server(false, Node), client); atServer != nil || atClient != nil {
		t.Errorf("after: %v, %v", atServer, atClient)
	}
	if err := os.WriteFile(filepath.Join(dir, CAFile), []byte("nothing"), 0o644); err != nil {
		t.Fatal(err)
	}
	c1.looked = time.Time{}
	if atServer, atClient := shake(t, c1.Server(false, Node), client); atServer != nil || atClient != nil {
		t.Errorf("with a file that is damaged: %v, %v; want what was there before", atServer, atClient)
	}
}

func TestKeysAreOwnersOnly(t *testing.T) {
	a := authority(t)
	_, dir := issue(t, a, "coordinator/c1", DefaultLife)
	for _, path := range []string{filepath.Join(a.dir, CAKeyFile), filepath.Join(a.dir, TokenKeyFile), filepath.Join(dir, KeyFile), filepath.Join(dir, IssuerKeyFile), filepath.Join(dir, TokenKeyFile)} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v; want 0600", path, info.Mode(), err)
		}
	}
	if err := Init(a.dir); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("a second authority in the same directory: %v", err)
	}
	if _, err := OpenAuthority(t.TempDir()); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "carillon ca init") {
		t.Errorf("no authority: %v", err)
	}
}
