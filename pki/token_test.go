package pki

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A machine that has nothing but a token gets a certificate that others take.
func TestJoining(t *testing.T) {
	a := authority(t)
	c1, dir := issue(t, a, "coordinator/c1", DefaultLife)
	text, err := a.Token([]string{"c1", "c2:7500"}, time.Hour, 3)
	if err != nil {
		t.Fatal(err)
	}
	token, err := ParseToken(text)
	if err != nil || token.Uses != 3 || len(token.Coordinators) != 2 {
		t.Fatalf("%+v, %v", token, err)
	}
	if atServer, atClient := shake(t, c1.Server(true, Node), token.Client()); atServer != nil || atClient != nil {
		t.Errorf("with the token alone: %v, %v", atServer, atClient)
	}
	i, err := OpenIssuer(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := i.Check(text); err != nil {
		t.Error(err)
	}
	mine := filepath.Join(t.TempDir(), "tls")
	request, err := Request(mine)
	if err != nil {
		t.Fatal(err)
	}
	granted, err := i.Certify(request, "n7")
	if err != nil {
		t.Fatal(err)
	}
	if err := granted.Keep(mine); err != nil {
		t.Fatal(err)
	}
	n7, err := Load(FilesIn(mine))
	if err != nil || n7.Name() != (Name{Node, "n7"}) || time.Until(n7.Expires()) > NodeLife {
		t.Fatalf("%v until %v, %v", n7.Name(), n7.Expires(), err)
	}
	if atServer, atClient := shake(t, c1.Server(false, Node), n7.Client(Coordinator)); atServer != nil || atClient != nil {
		t.Errorf("with its certificate: %v, %v", atServer, atClient)
	}
	again, err := Request(mine) // to renew: with the same key
	if err != nil {
		t.Fatal(err)
	}
	if granted, err = i.Certify(again, "n7"); err == nil {
		err = granted.Keep(mine)
	}
	if _, lerr := Load(FilesIn(mine)); err != nil || lerr != nil {
		t.Errorf("renewed: %v, %v", err, lerr)
	}
}

func TestTokensThatAreNone(t *testing.T) {
	a, other := authority(t), authority(t)
	_, dir := issue(t, a, "coordinator/c1", DefaultLife)
	i, err := OpenIssuer(dir)
	if err != nil {
		t.Fatal(err)
	}
	good, err := a.Token([]string{"c1"}, time.Hour, 1)
	if err != nil {
		t.Fatal(err)
	}
	foreign, _ := other.Token([]string{"c1"}, time.Hour, 1)
	old, _ := a.Token([]string{"c1"}, -time.Second, 1)
	cut := good[:len(good)-4]
	for text, want := range map[string]string{
		"":                        "it is not what",
		"carillon-join-1.e30":     "it is not what",
		"carillon-join-1.e30.e30": "it is not what",
		foreign:                   "another cluster",
		old:                       "expired",
		cut:                       "was changed",
		good + "A":                "was changed",
	} {
		_, err := i.Check(text)
		if !errors.Is(err, ErrToken) || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
		if err != nil && len(text) > 30 && strings.Contains(err.Error(), text[20:30]) {
			t.Errorf("the error repeats the token: %v", err)
		}
	}
	if _, err := i.Check("  " + good + "\n"); err != nil {
		t.Errorf("with spaces around it: %v", err)
	}
}

// A coordinator of another cluster, or a node, is not taken for a coordinator.
func TestATokenKnowsItsCoordinators(t *testing.T) {
	a, other := authority(t), authority(t)
	text, err := a.Token([]string{"c1"}, time.Hour, 1)
	if err != nil {
		t.Fatal(err)
	}
	token, _ := ParseToken(text)
	for name, of := range map[string]*Authority{"coordinator/c1": other, "node/n1": a} {
		server, _ := issue(t, of, name, DefaultLife)
		if _, err := shake(t, server.Server(true, Node), token.Client()); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v, want a refusal", name, err)
		}
	}
}

func TestRequestsThatAreNone(t *testing.T) {
	_, dir := issue(t, authority(t), "coordinator/c1", DefaultLife)
	i, err := OpenIssuer(dir)
	if err != nil {
		t.Fatal(err)
	}
	request, err := Request(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	request[len(request)-5] ^= 1 // of the signature
	if _, err := i.Certify(request, "n1"); err == nil || !strings.Contains(err.Error(), "signing request") {
		t.Errorf("a signature that is wrong: %v", err)
	}
	if _, err := i.Certify(request, "a/b"); err == nil || !strings.Contains(err.Error(), "name") {
		t.Errorf("a name that is none: %v", err)
	}
	if none, err := OpenIssuer(t.TempDir()); none != nil || err != nil {
		t.Errorf("a directory without an issuer: %v, %v; want none", none, err)
	}
	info, err := os.Stat(filepath.Join(dir, KeyFile))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

func FuzzParseToken(f *testing.F) {
	f.Add("carillon-join-1.e30.e30")
	f.Add("carillon-join-1.eyJjb29yZGluYXRvcnMiOlsiYSJdfQ.x")
	f.Fuzz(func(t *testing.T, s string) {
		if tok, err := ParseToken(s); err == nil && len(tok.Coordinators) == 0 {
			t.Errorf("%q parses as %+v", s, tok)
		}
		if _, err := check([]byte("secret"), s, time.Now()); err == nil {
			t.Errorf("%q passes", s)
		}
	})
}
