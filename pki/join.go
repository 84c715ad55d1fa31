package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Client is the configuration of a machine that has nothing but a token: the other
// side is a coordinator that the token's authority certifies. The authority's own
// certificate comes with the chain, and is known by its hash.
func (t Token) Client() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, // VerifyConnection does it
		VerifyConnection: func(s tls.ConnectionState) error {
			roots := x509.NewCertPool()
			for _, c := range s.PeerCertificates {
				if fingerprint(c.Raw) == t.CA {
					roots.AddCert(c)
				}
			}
			name, err := verify(s.PeerCertificates, roots)
			if err == nil && name.Role != Coordinator {
				err = fmt.Errorf("%s is no coordinator", name)
			}
			if err != nil {
				return fmt.Errorf("%w: %w", ErrRefused, err)
			}
			return nil
		},
	}
}

// Request makes a signing request, DER, with a key of this machine, which is made
// in dir where there is none.
func Request(dir string) ([]byte, error) {
	key, err := readKey(filepath.Join(dir, KeyFile))
	if errors.Is(err, os.ErrNotExist) {
		key, err = makeKey(dir)
	}
	if err != nil {
		return nil, err
	}
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
}

func makeKey(dir string) (crypto.Signer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	key, err := newKey()
	if err != nil {
		return nil, err
	}
	text, err := keyPEM(key)
	if err != nil {
		return nil, err
	}
	return key, write(dir, KeyFile, text, true)
}

// Keep writes what was granted beside the key that it is for.
func (g Granted) Keep(dir string) error {
	for _, text := range [][]byte{g.CA, g.Cert} {
		if _, err := parseCerts(text); err != nil {
			return fmt.Errorf("what was granted: %w", err)
		}
	}
	return errors.Join(write(dir, CAFile, g.CA, false), write(dir, CertFile, g.Cert, false))
}

// Renew writes what was granted in the place of a certificate that is there. Whom this
// machine trusts may only grow by it: a coordinator that does not know of an authority
// that is being introduced takes nothing away.
func (g Granted) Renew(dir string) error {
	here, err := readCerts(filepath.Join(dir, CAFile))
	if err != nil {
		return err
	}
	there, err := parseCerts(g.CA)
	if err != nil {
		return fmt.Errorf("what was granted: %w", err)
	}
	for _, c := range here {
		if !slices.ContainsFunc(there, c.Equal) {
			return write(dir, CertFile, g.Cert, false)
		}
	}
	return g.Keep(dir)
}

// Knows says whether files trust the authority of the token.
func (t Token) Knows(f Files) bool {
	certs, err := readCerts(f.CA)
	return err == nil && slices.ContainsFunc(certs, func(c *x509.Certificate) bool { return fingerprint(c.Raw) == t.CA })
}
