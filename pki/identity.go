package pki

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ErrRefused is in the chain of what verification returns.
var ErrRefused = errors.New("certificate refused")

// Identity is what one process shows, and whom it trusts. It is safe for concurrent use.
type Identity struct {
	files Files

	refused atomic.Uint64

	mu      sync.Mutex // guards the fields below
	looked  time.Time
	stamp   [3]time.Time // when the files were changed, as far as they were read
	roots   *x509.CertPool
	own     *tls.Certificate
	name    Name
	revoked map[string]bool // by role/name
}

// Files are where an identity is kept, PEM.
type Files struct {
	CA   string // whom to trust
	Cert string // its own certificate, with what certifies it
	Key  string
}

// FilesIn are those of a directory that Issue made, or a node wrote.
func FilesIn(dir string) Files {
	return Files{filepath.Join(dir, CAFile), filepath.Join(dir, CertFile), filepath.Join(dir, KeyFile)}
}

// Load reads an identity.
func Load(f Files) (*Identity, error) {
	id := &Identity{files: f}
	return id, id.read()
}

// Name is who this is.
func (id *Identity) Name() Name {
	id.mu.Lock()
	defer id.mu.Unlock()
	return id.name
}

// Expires is when the own certificate ends.
func (id *Identity) Expires() time.Time {
	_, own := id.current()
	return own.Leaf.NotAfter
}

// Distrusted says whether the coordinator that certified this process was revoked: others
// take the certificate no more, and it is time for another.
func (id *Identity) Distrusted() bool {
	_, own := id.current()
	for _, der := range own.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil && id.certifiedByRevoked([]*x509.Certificate{nil, c}) {
			return true
		}
	}
	return false
}

// Refused counts the connections that were refused for their certificates.
func (id *Identity) Refused() uint64 { return id.refused.Load() }

// RevokeAll makes names, as role/name, refused from now on, these and no others, and
// says whether that changes anything.
func (id *Identity) RevokeAll(names []string) (changed bool) {
	id.mu.Lock()
	defer id.mu.Unlock()
	if len(names) == len(id.revoked) && !slices.ContainsFunc(names, func(n string) bool { return !id.revoked[n] }) {
		return false
	}
	id.revoked = map[string]bool{}
	for _, n := range names {
		id.revoked[n] = true
	}
	return true
}

// Revoked says whether a name is refused.
func (id *Identity) Revoked(n Name) bool {
	id.mu.Lock()
	defer id.mu.Unlock()
	return id.revoked[n.String()]
}

// Server is the configuration of who listens: clients have certificates of one of
// the roles. With anyone, one that has none is let in too, and it is the caller's to
// see what it may do.
func (id *Identity) Server(anyone bool, roles ...Role) *tls.Config {
	auth := tls.RequireAnyClientCert
	if anyone {
		auth = tls.RequestClientCert
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ClientAuth: auth,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { _, own := id.current(); return own, nil },
		VerifyConnection: func(s tls.ConnectionState) error {
			if anyone && len(s.PeerCertificates) == 0 {
				return nil
			}
			return id.verify(s.PeerCertificates, roles)
		},
	}
}

// Client is the configuration of who connects to a process of one of the roles.
// Names of hosts are not looked at; see the package's text.
func (id *Identity) Client(roles ...Role) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, // VerifyConnection does it
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { _, own := id.current(); return own, nil },
		VerifyConnection:     func(s tls.ConnectionState) error { return id.verify(s.PeerCertificates, roles) },
	}
}

// verify makes sure that a chain ends in an authority that is trusted, and that its
// first is of one of the roles.
func (id *Identity) verify(chain []*x509.Certificate, roles []Role) error {
	roots, _ := id.current()
	name, err := verify(chain, roots)
	switch {
	case err != nil:
	case !slices.Contains(roles, name.Role):
		err = fmt.Errorf("%s may not speak here, only %v", name, roles)
	case id.Revoked(name):
		err = fmt.Errorf("%s is revoked", name)
	case id.certifiedByRevoked(chain):
		err = fmt.Errorf("%s was certified by a coordinator that is revoked", name)
	default:
		return nil
	}
	id.refused.Add(1)
	return fmt.Errorf("%w: %w", ErrRefused, err)
}

// certifiedByRevoked says whether an issuer in a chain is that of a coordinator that was
// revoked.
func (id *Identity) certifiedByRevoked(chain []*x509.Certificate) bool {
	return slices.ContainsFunc(chain[1:], func(c *x509.Certificate) bool {
		n, err := NameOf(c)
		return err == nil && n.Role == issuer && id.Revoked(Name{Coordinator, n.Name})
	})
}

func verify(chain []*x509.Certificate, roots *x509.CertPool) (Name, error) {
	if len(chain) == 0 {
		return Name{}, errors.New("there is none")
	}
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	opts := x509.VerifyOptions{Roots: roots, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if _, err := chain[0].Verify(opts); err != nil {
		return Name{}, err
	}
	return NameOf(chain[0])
}

// lookAgain is how often the files are looked at.
const lookAgain = time.Second

// current returns what the files hold, as far as they can be read.
func (id *Identity) current() (*x509.CertPool, *tls.Certificate) {
	id.mu.Lock()
	due := time.Since(id.looked) >= lookAgain
	id.mu.Unlock()
	if due {
		_ = id.read() // what was read before stays
	}
	id.mu.Lock()
	defer id.mu.Unlock()
	return id.roots, id.own
}

// read takes the files up if one of them has changed.
func (id *Identity) read() error {
	stamp, err := id.stamps()
	id.mu.Lock()
	id.looked = time.Now()
	same := err == nil && stamp == id.stamp
	id.mu.Unlock()
	if err != nil || same {
		return err
	}
	certs, err := readCerts(id.files.CA)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	for _, c := range certs {
		roots.AddCert(c)
	}
	own, err := tls.LoadX509KeyPair(id.files.Cert, id.files.Key)
	if err != nil {
		return fmt.Errorf("%s and %s: %w", id.files.Cert, id.files.Key, err)
	}
	name, err := NameOf(own.Leaf)
	if err != nil {
		return fmt.Errorf("%s: %w", id.files.Cert, err)
	}
	id.mu.Lock()
	defer id.mu.Unlock()
	id.stamp, id.roots, id.own, id.name = stamp, roots, &own, name
	return nil
}

func (id *Identity) stamps() (s [3]time.Time, err error) {
	for i, path := range []string{id.files.CA, id.files.Cert, id.files.Key} {
		info, err := os.Stat(path)
		if err != nil {
			return s, err
		}
		s[i] = info.ModTime()
	}
	return s, nil
}
