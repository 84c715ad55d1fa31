package pki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// Role is what the holder of a certificate may be.
type Role string

// The roles.
const (
	Coordinator Role = "coordinator" // votes, leads, certifies nodes
	Node        Role = "node"        // trains
	User        Role = "user"        // submits and looks on
	issuer      Role = "issuer"      // of nodes' certificates; connects to nobody
)

// Name is who a certificate is for.
type Name struct {
	Role Role
	Name string
}

// String is "node/n1".
func (n Name) String() string { return string(n.Role) + "/" + n.Name }

// trustDomain is what ends the host of every name's URI.
const trustDomain = ".carillon"

func (n Name) uri() *url.URL {
	return &url.URL{Scheme: "spiffe", Host: string(n.Role) + trustDomain, Path: "/" + n.Name}
}

// plainName is what may be a name: part of a subject, of an id and of a path.
var plainName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$`)

// CheckName refuses what cannot be the name of a machine or a person.
func CheckName(name string) error {
	if !plainName.MatchString(name) {
		return fmt.Errorf("name %q: want up to 63 letters, digits, - and _, beginning with a letter or digit", name)
	}
	return nil
}

// ParseName reads "node/n1".
func ParseName(s string) (Name, error) {
	role, name, ok := strings.Cut(s, "/")
	n := Name{Role(role), name}
	if !ok || n.Role != Coordinator && n.Role != Node && n.Role != User {
		return Name{}, fmt.Errorf("%q: want coordinator/NAME, node/NAME or user/NAME", s)
	}
	return n, CheckName(name)
}

// NameOf reads a certificate's URI.
func NameOf(cert *x509.Certificate) (Name, error) {
	for _, u := range cert.URIs {
		role, ok := strings.CutSuffix(u.Host, trustDomain)
		name := strings.TrimPrefix(u.Path, "/")
		if u.Scheme != "spiffe" || !ok {
			continue
		}
		switch r := Role(role); r {
		case Coordinator, Node, User, issuer:
			return Name{r, name}, CheckName(name)
		}
		return Name{}, fmt.Errorf("certificate: URI %s has no role that is known; want coordinator, node or user", u)
	}
	return Name{}, errors.New("certificate: it has no URI spiffe://ROLE.carillon/NAME, which says whose it is")
}
