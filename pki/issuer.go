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

// Issuer is what a coordinator certifies nodes with.
type Issuer struct {
	signer
	roots  []byte // PEM
	secret []byte
}

// OpenIssuer opens a coordinator's directory; nil if it has no issuer, as with an
// authority of the user's own.
func OpenIssuer(dir string) (*Issuer, error) {
	s, err := readSigner(dir, IssuerFile, IssuerKeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	i := &Issuer{signer: s}
	if i.roots, err = os.ReadFile(filepath.Join(dir, CAFile)); err != nil {
		return nil, err
	}
	i.secret, err = os.ReadFile(filepath.Join(dir, TokenKeyFile))
	return i, err
}

// Check makes sure that a token is this cluster's, and not too old. How often it was
// used is the ledger's to say.
func (i *Issuer) Check(token string) (Token, error) { return check(i.secret, token, time.Now()) }

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
	life := min(NodeLife, time.Until(i.cert.NotAfter))
	if life <= 0 {
		return Granted{}, fmt.Errorf("the issuer's own certificate has expired (%s); carillon ca issue makes another", i.cert.NotAfter.Format(time.RFC3339))
	}
	der, err := i.certify(Name{Node, name}, req.PublicKey, life)
	return Granted{CA: i.roots, Cert: certPEM(der, i.cert.Raw)}, err
}
