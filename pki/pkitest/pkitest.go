// Package pkitest makes certificates for tests.
package pkitest

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carillon/pki"
)

// Authority is a cluster's own, for one test.
type Authority struct {
	Dir string
	a   *pki.Authority
}

// New makes an authority.
func New(t testing.TB) *Authority {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "ca")
	if err := pki.Init(dir); err != nil {
		t.Fatal(err)
	}
	a, err := pki.OpenAuthority(dir)
	if err != nil {
		t.Fatal(err)
	}
	return &Authority{dir, a}
}

// Issue makes a directory for "role/name", good for a day.
func (a *Authority) Issue(t testing.TB, name string) (dir string) {
	t.Helper()
	return a.IssueFor(t, name, 24*time.Hour)
}

// IssueFor makes one that is good for a while.
func (a *Authority) IssueFor(t testing.TB, name string, life time.Duration) (dir string) {
	t.Helper()
	n, err := pki.ParseName(name)
	if err != nil {
		t.Fatal(err)
	}
	dir = filepath.Join(t.TempDir(), strings.ReplaceAll(name, "/", "-"))
	if err := a.a.Issue(n, life, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Identity is Issue's, loaded.
func (a *Authority) Identity(t testing.TB, name string) *pki.Identity {
	t.Helper()
	id, err := pki.Load(pki.FilesIn(a.Issue(t, name)))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Token makes a join token.
func (a *Authority) Token(t testing.TB, coordinators []string, ttl time.Duration, uses int) string {
	t.Helper()
	text, err := a.a.Token(coordinators, ttl, uses)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
