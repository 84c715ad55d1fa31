package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/url"
	"os"
	"path/filepath"
	"time"
)

const (
	// authorityLife is how long an authority is good for.
	authorityLife = 10 * 365 * 24 * time.Hour
	// DefaultLife is the same for what it issues.
	DefaultLife = 365 * 24 * time.Hour
	// skew is how far the clocks of two machines may be apart.
	skew = 5 * time.Minute
)

// signer is a certificate that certifies others, with its key.
type signer struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// Authority is a cluster's own.
type Authority struct {
	signer
	dir string
}

// Init makes a new authority in dir, which must not hold one.
func Init(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dir, CAKeyFile)); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s holds an authority already; a cluster keeps its own, so choose another directory for another cluster", dir)
	}
	tmpl, err := template(pkix.Name{CommonName: "carillon"}, nil, authorityLife)
	if err != nil {
		return err
	}
	tmpl.IsCA, tmpl.MaxPathLen, tmpl.KeyUsage = true, 1, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	key, err := newKey()
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, key.Public(), key)
	if err != nil {
		return err
	}
	secret := make([]byte, sha256.Size)
	rand.Read(secret) // never fails (crypto/rand)
	text, err := keyPEM(key)
	if err != nil {
		return err
	}
	return errors.Join(write(dir, TokenKeyFile, secret, true), write(dir, CAFile, certPEM(der), false), write(dir, CAKeyFile, text, true))
}

// OpenAuthority opens what Init made.
func OpenAuthority(dir string) (*Authority, error) {
	s, err := readSigner(dir, CAFile, CAKeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s holds no authority; carillon ca init makes one: %w", dir, err)
	}
	if err != nil {
		return nil, err
	}
	return &Authority{signer: s, dir: dir}, nil
}

// Issue makes a directory for a process: whom to trust, its certificate and its key;
// and for a coordinator what it certifies nodes with.
func (a *Authority) Issue(n Name, life time.Duration, dir string) error {
	if err := CheckName(n.Name); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	key, err := newKey()
	if err != nil {
		return err
	}
	der, err := a.certify(n, key.Public(), life)
	if err != nil {
		return err
	}
	text, err := keyPEM(key)
	if err != nil {
		return err
	}
	err = errors.Join(write(dir, CAFile, certPEM(a.cert.Raw), false), write(dir, KeyFile, text, true), write(dir, CertFile, certPEM(der, a.cert.Raw), false))
	if err != nil || n.Role != Coordinator {
		return err
	}
	return a.issueIssuer(n.Name, life, dir)
}

// issueIssuer makes what certifies nodes, and nobody else.
func (a *Authority) issueIssuer(name string, life time.Duration, dir string) error {
	n := Name{issuer, name}
	tmpl, err := template(pkix.Name{CommonName: n.String()}, n.uri(), life)
	if err != nil {
		return err
	}
	tmpl.IsCA, tmpl.MaxPathLenZero, tmpl.KeyUsage = true, true, x509.KeyUsageCertSign
	tmpl.PermittedURIDomains, tmpl.PermittedDNSDomainsCritical = []string{string(Node) + trustDomain}, true
	key, err := newKey()
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, key.Public(), a.key)
	if err != nil {
		return err
	}
	secret, err := os.ReadFile(filepath.Join(a.dir, TokenKeyFile))
	if err != nil {
		return err
	}
	text, err := keyPEM(key)
	if err != nil {
		return err
	}
	return errors.Join(write(dir, TokenKeyFile, secret, true), write(dir, IssuerKeyFile, text, true), write(dir, IssuerFile, certPEM(der, a.cert.Raw), false))
}

// certify makes a certificate, DER, for the holder of a key.
func (s signer) certify(n Name, key crypto.PublicKey, life time.Duration) ([]byte, error) {
	tmpl, err := template(pkix.Name{CommonName: n.String()}, n.uri(), life)
	if err != nil {
		return nil, err
	}
	tmpl.KeyUsage = x509.KeyUsageDigitalSignature
	tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	return x509.CreateCertificate(rand.Reader, tmpl, s.cert, key, s.key)
}

func template(subject pkix.Name, uri *url.URL, life time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	tmpl := &x509.Certificate{SerialNumber: serial, Subject: subject, NotBefore: now.Add(-skew), NotAfter: now.Add(life), BasicConstraintsValid: true}
	if uri != nil {
		tmpl.URIs = []*url.URL{uri}
	}
	return tmpl, nil
}

func newKey() (*ecdsa.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func readSigner(dir, certFile, keyFile string) (s signer, err error) {
	certs, err := readCerts(filepath.Join(dir, certFile))
	if err != nil {
		return s, err
	}
	s.cert = certs[0]
	s.key, err = readKey(filepath.Join(dir, keyFile))
	return s, err
}
