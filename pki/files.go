package pki

import (
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// Files of an authority's directory and of those that it issues.
const (
	CAFile        = "ca.crt"     // whom to trust
	CAKeyFile     = "ca.key"     // the authority's own
	CertFile      = "tls.crt"    // of a process, with what certifies it
	KeyFile       = "tls.key"    // its key
	IssuerFile    = "issuer.crt" // with which a coordinator certifies nodes
	IssuerKeyFile = "issuer.key"
	TokenKeyFile  = "token.key" // with which tokens are made and checked
)

// write puts a file in place whole. Who else may read a secret is nobody.
func write(dir, name string, data []byte, secret bool) error {
	mode := os.FileMode(0o644)
	if secret {
		mode = 0o600
	}
	return renameio.WriteFile(filepath.Join(dir, name), data, mode, renameio.IgnoreUmask())
}

func certPEM(der ...[]byte) (out []byte) {
	for _, d := range der {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: d})...)
	}
	return out
}

func keyPEM(key crypto.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// readCerts reads every certificate of a file.
func readCerts(path string) ([]*x509.Certificate, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	certs, err := parseCerts(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return certs, nil
}

func parseCerts(data []byte) (certs []*x509.Certificate, err error) {
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		certs = append(certs, c)
	}
	if len(certs) == 0 {
		return nil, errors.New("no certificate in it; want PEM, -----BEGIN CERTIFICATE-----")
	}
	return certs, nil
}

// readKey reads a private key that signs.
func readKey(path string) (crypto.Signer, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s: no key in it; want PEM, -----BEGIN PRIVATE KEY-----", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	signer, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s: a key that cannot sign", path)
	}
	return signer, nil
}
