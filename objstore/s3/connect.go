package s3

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/encrypt"
)

// connect makes the client; it sends nothing.
func connect(a Address) (*Store, error) {
	s := &Store{address: a, patience: patience}
	set, err := a.complete()
	if err != nil {
		return s, err
	}
	s.endpoint = set.endpoint
	u, err := parseEndpoint(set.endpoint)
	if err != nil {
		return s, err
	}
	transport, err := transport(u.Scheme == "https", set.caBundle)
	if err != nil {
		return s, err
	}
	if s.sse, err = a.encryption(); err != nil {
		return s, err
	}
	s.credentials = credentials.New(newChain())
	client, err := minio.New(u.Host, &minio.Options{
		Creds: s.credentials, Secure: u.Scheme == "https", Region: set.region, Transport: transport,
		BucketLookup: a.lookup(set.endpoint != awsEndpoint),
		MaxRetries:   1, // objstore.Retry does it: this library's calls its own success a conflict
	})
	s.core = minio.Core{Client: client}
	return s, err
}

// lookup is where the bucket's name goes: other servers than AWS rarely have a host name
// for each bucket.
func (a Address) lookup(other bool) minio.BucketLookupType {
	switch {
	case a.PathStyle == nil && other, a.PathStyle != nil && *a.PathStyle:
		return minio.BucketLookupPath
	case a.PathStyle != nil:
		return minio.BucketLookupDNS
	}
	return minio.BucketLookupAuto
}

func (a Address) encryption() (encrypt.ServerSide, error) {
	switch a.SSE {
	case "AES256":
		return encrypt.NewSSE(), nil
	case "aws:kms":
		return encrypt.NewSSEKMS(a.KMSKey, nil)
	}
	return nil, nil
}

// transport trusts the CAs of the machine, and those of a file.
func transport(secure bool, caBundle string) (*http.Transport, error) {
	t, err := minio.DefaultTransport(secure)
	if err != nil || caBundle == "" || !secure {
		return t, err
	}
	pem, err := os.ReadFile(caBundle)
	if err != nil {
		return nil, fmt.Errorf("AWS_CA_BUNDLE: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("AWS_CA_BUNDLE: %w", errors.New(caBundle+" holds no certificate in PEM"))
	}
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool}
	return t, nil
}
