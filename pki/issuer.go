package pki

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// NodeLife is how long a node's certificate is good for. It is renewed long before.
const NodeLife = 24 * time.Hour

// Issuer is what a coordinator certifies nodes with. Its files are read again each time.
type Issuer struct{ dir string }

// issuing is what the files hold.
type issuing struct {
	signer
	roots  []byte // PEM
	secret []byte
}

// OpenIssuer opens a coordinator's directory; nil if it has no issuer, as with an
// authority of the user's own.
func OpenIssuer(dir string) (*Issuer, error) {
	i := &Issuer{dir}
	_, err := i.read()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return i, err
}

func (i *Issuer) read() (now issuing, err error) {
	if now.signer, err = readSigner(i.dir, IssuerFile, IssuerKeyFile); err != nil {
		return now, err
	}
	if now.roots, err = os.ReadFile(filepath.Join(i.dir, CAFile)); err != nil {
		return now, err
	}
	now.secret, err = os.ReadFile(filepath.Join(i.dir, TokenKeyFile))
	return now, err
}

// Check makes sure that a token is this cluster's, and not too old. How often it was
// used is the ledger's to say.
func (i *Issuer) Check(token string) (Token, error) {
	now, err := i.read()
	if err != nil {
		return Token{}, err
	}
	return check(now.secret, token, time.Now())
}

// Granted is what a node gets: PEM.
type Granted struct {
	CA   []byte `json:"ca"`   // whom to trust
	Cert []byte `json:"cert"` // its certificate, with what certifies it
}

// Certify answers a signing request (DER) of a node, whose key it proves.
func (i *Issuer) Certify(request []byte, name string) (Granted, error) {
	if err := CheckName(name); err != nil {
		return Granted{}, err
	}
	req, err := x509.ParseCertificateRequest(request)
	if err == nil {
		err = req.CheckSignature()
	}
	if err != nil {
		return Granted{}, fmt.Errorf("signing request: %w", err)
	}
	now, err := i.read()
	if err != nil {
		return Granted{}, err
	}
	life := min(NodeLife, time.Until(now.cert.NotAfter))
	if life <= 0 {
		return Granted{}, fmt.Errorf("the issuer's own certificate has expired (%s); carillon ca issue makes another", now.cert.NotAfter.Format(time.RFC3339))
	}
	der, err := now.certify(Name{Node, name}, req.PublicKey, life)
	return Granted{CA: now.roots, Cert: certPEM(der, now.cert.Raw)}, err
}
