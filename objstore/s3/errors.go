package s3

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"

	"carillon/objstore"
)

// Answers that lead to something else than an error.
var (
	errConflict = errors.New("another request changes the object") // 409
	errRange    = errors.New("the object ends before")             // 416
)

// explain says what was done, what a failure means to callers (an error of package
// objstore), and, where a person must act, what to do.
func (s *Store) explain(ctx context.Context, op string, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", op, ctx.Err())
	}
	var r minio.ErrorResponse
	if !errors.As(err, &r) {
		return s.explainConnection(op, err)
	}
	switch {
	case r.Code == minio.NoSuchKey:
		return fmt.Errorf("%s: %w", op, objstore.ErrNotExist)
	case r.StatusCode == http.StatusPreconditionFailed:
		return fmt.Errorf("%s: %w", op, objstore.ErrStale)
	case r.Code == "ConditionalRequestConflict" || r.Code == "OperationAborted":
		return fmt.Errorf("%s: %w", op, errConflict)
	case r.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return fmt.Errorf("%s: %w", op, errRange)
	case r.Code == minio.NoSuchBucket:
		return fmt.Errorf("%s: there is no bucket %s at %s: make it, or correct the address", op, s.address.Bucket, s.endpoint)
	case isFull(r):
		return fmt.Errorf("%s: %w: make room at %s: %s", op, objstore.ErrFull, s, told(r))
	case isTemporary(r):
		if strings.HasPrefix(r.Code, "ExpiredToken") || bare(r) {
			s.credentials.Expire() // the next try asks for new ones
		}
		return fmt.Errorf("%s: %w: %s", op, objstore.ErrTemporary, told(r))
	case r.StatusCode == http.StatusForbidden || r.StatusCode == http.StatusUnauthorized:
		return fmt.Errorf("%s: %s refuses these credentials: %s", op, s, told(r))
	}
	return fmt.Errorf("%s: %s answers: %s", op, s, told(r))
}

// explainConnection explains the failure of a request that was not answered.
func (s *Store) explainConnection(op string, err error) error {
	var unknown x509.UnknownAuthorityError
	var wrongName x509.HostnameError
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("%s: the certificate of %s is signed by nobody that this machine trusts: set AWS_CA_BUNDLE to the file of its CA: %w", op, s.endpoint, err)
	case errors.As(err, &wrongName):
		return fmt.Errorf("%s: the certificate of %s is for another host: %w", op, s.endpoint, err)
	case errors.As(err, &record), strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		return fmt.Errorf("%s: %s does not speak TLS: is its endpoint http://?", op, s.endpoint)
	case errors.Is(err, errNoCredentials):
		return fmt.Errorf("%s: %w", op, err)
	}
	return fmt.Errorf("%s: %w: %w", op, objstore.ErrTemporary, err)
}

// bare says whether a refusal has no words: that of a HEAD, which is how AWS tells of an
// expired token then. (The library makes the status the code.)
func bare(r minio.ErrorResponse) bool {
	return r.StatusCode == http.StatusBadRequest && strings.HasPrefix(r.Code, "400")
}

// isTemporary says whether the server asks to come again, or lost something on the way.
func isTemporary(r minio.ErrorResponse) bool {
	switch r.Code {
	case "SlowDown", "SlowDownRead", "SlowDownWrite", "RequestTimeout", "Throttling", "ThrottlingException", "RequestLimitExceeded",
		"RequestThrottled", "InternalError", "ExpiredToken", "ExpiredTokenException", "BadDigest", "XAmzContentChecksumMismatch", "IncompleteBody":
		return true
	}
	switch r.StatusCode {
	case http.StatusRequestTimeout, http.StatusTooManyRequests:
		return true
	case http.StatusBadRequest:
		return bare(r)
	}
	return r.StatusCode >= http.StatusInternalServerError && r.StatusCode != http.StatusNotImplemented
}

// isFull says whether a person must make room.
func isFull(r minio.ErrorResponse) bool {
	return r.StatusCode == http.StatusInsufficientStorage || r.Code == "QuotaExceeded" || r.Code == "XMinioStorageFull"
}

// told is a server's answer on one line.
func told(r minio.ErrorResponse) string {
	message := strings.Join(strings.Fields(r.Message), " ")
	return fmt.Sprintf("%d %s: %s", r.StatusCode, r.Code, message)
}
