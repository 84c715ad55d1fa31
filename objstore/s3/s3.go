// Package s3 keeps objects in a bucket of Amazon S3, or of a server that speaks
// its protocol.
//
// # How
//
// An object is created by one PUT with If-None-Match, and HEAD is moved by one PUT
// with If-Match: never by a multipart upload, in which the client library drops the
// condition above 16 MiB. The body's SHA-256 goes with it as a header, which servers
// verify, so nothing depends on trailers.
//
// # Failure
//
// Every call is tried once, and says of its error whether it may be tried again
// (objstore.ErrTemporary); objstore.Retry does. A connection on which nothing moves
// for half a minute has failed. Errors name the bucket and the key, never credentials.
//
// # Who decides
//
// Whether a server keeps what it promises is seen by objstore.Probe, not believed.
package s3

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"github.com/minio/minio-go/v7/pkg/encrypt"

	"carillon/objstore"
)

var _ objstore.Store = (*Store)(nil)

// MaxObject is the largest object that one PUT can carry, in bytes (Amazon S3's limit).
const MaxObject = 5 << 30

// Store is a place in a bucket.
type Store struct {
	address     Address
	endpoint    string // that is in use
	core        minio.Core
	credentials *credentials.Credentials
	sse         encrypt.ServerSide
	patience    time.Duration // how long a connection may stand still
}

// patience is how long a connection may stand still.
const patience = 30 * time.Second

// Open returns the store at an address. It asks the server for nothing yet.
func Open(a Address) (*Store, error) {
	s, err := connect(a)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", s, err)
	}
	return s, nil
}

// String names the store for people.
func (s *Store) String() string {
	text := Scheme + s.address.Bucket
	if s.address.Prefix != "" {
		text += "/" + s.address.Prefix
	}
	if s.endpoint != awsEndpoint && s.endpoint != "" {
		text += " at " + s.endpoint
	}
	return text
}

func (s *Store) key(key string) string {
	if s.address.Prefix == "" {
		return key
	}
	return s.address.Prefix + "/" + key
}

// PutIfAbsent implements objstore.Store. r is read twice: a reader that cannot seek is
// held in memory.
func (s *Store) PutIfAbsent(ctx context.Context, key string, r io.Reader, size int64) error {
	if err := cmp.Or(ctx.Err(), objstore.CheckKey(key)); err != nil {
		return err
	}
	if size > MaxObject {
		return fmt.Errorf("put %s: %d bytes are more than an object can have on S3: %d", key, size, int64(MaxObject))
	}
	if size > lookFirst {
		if err := s.mustBeAbsent(ctx, key); err != nil {
			return err
		}
	}
	body, start, err := objstore.Seekable(r)
	if err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	sum := sha256.New()
	if err := objstore.ReadExactly(sum, body, key, size); err != nil {
		return err
	}
	if _, err := body.Seek(start, io.SeekStart); err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	_, err = s.put(ctx, "put "+key, key, body, size, sum.Sum(nil), "")
	if errors.Is(err, errConflict) { // another writes it, or wrote it: which of the two?
		if err = s.mustBeAbsent(ctx, key); err == nil {
			err = fmt.Errorf("put %s: another is writing it: %w", key, objstore.ErrTemporary)
		}
	}
	if errors.Is(err, objstore.ErrStale) {
		return fmt.Errorf("put %s: %w", key, objstore.ErrExist)
	}
	return err
}

// lookFirst is the size from which on it is asked whether an object is there before its
// bytes are sent: they may be sent in vain, and a server that refuses them half-way cuts
// the connection, so that its answer is lost.
const lookFirst = 64 << 10

func (s *Store) mustBeAbsent(ctx context.Context, key string) error {
	switch _, err := s.stat(ctx, key); {
	case err == nil:
		return fmt.Errorf("put %s: %w", key, objstore.ErrExist)
	case !errors.Is(err, objstore.ErrNotExist):
		return err
	}
	return nil
}

// Swap implements objstore.Store.
func (s *Store) Swap(ctx context.Context, key, old string, value []byte) (string, error) {
	if err := cmp.Or(ctx.Err(), objstore.CheckSwap(key, value)); err != nil {
		return "", err
	}
	sum := sha256.Sum256(value)
	tag, err := s.put(ctx, "swap "+key, key, bytes.NewReader(value), int64(len(value)), sum[:], old)
	if errors.Is(err, errConflict) || errors.Is(err, objstore.ErrNotExist) {
		return "", fmt.Errorf("swap %s: %w", key, objstore.ErrStale)
	}
	return tag, err
}

// storedASecond is how many bytes a slow server puts away in a second.
const storedASecond = 32 << 20

// put sends one PUT, on condition that the object's tag is old ("" for absent).
func (s *Store) put(ctx context.Context, op, key string, r io.Reader, size int64, sum []byte, old string) (tag string, err error) {
	opts := minio.PutObjectOptions{
		DisableContentSha256: true, // a header has it, signed with the others
		UserMetadata:         map[string]string{"x-amz-checksum-sha256": base64.StdEncoding.EncodeToString(sum)},
		ServerSideEncryption: s.sse,
	}
	if old == "" {
		opts.SetMatchETagExcept("*") // If-None-Match: *
	} else {
		opts.SetMatchETag(old)
	}
	err = s.try(ctx, op, func(ctx context.Context, w *watch) error {
		w.patience += time.Duration(size/storedASecond) * time.Second // the server's work on what has come
		body := &watched{w: w, r: io.LimitReader(r, size)}
		defer body.end()
		info, err := s.core.PutObject(ctx, s.address.Bucket, s.key(key), body, size, "", "", opts)
		tag = info.ETag
		return err
	})
	return tag, err
}

// Get implements objstore.Store.
func (s *Store) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, objstore.Info, error) {
	if err := cmp.Or(ctx.Err(), objstore.CheckKey(key)); err != nil {
		return nil, objstore.Info{}, err
	}
	if off < 0 || n == 0 { // no range of HTTP says that
		return s.nothing(ctx, key, off)
	}
	var opts minio.GetObjectOptions
	switch {
	case n > 0:
		opts.Set("Range", fmt.Sprintf("bytes=%d-%d", off, off+n-1))
	case off > 0:
		opts.Set("Range", fmt.Sprintf("bytes=%d-", off))
	}
	body := &body{store: s, op: "get " + key}
	info, err := body.open(ctx, key, opts)
	if errors.Is(err, errRange) {
		return s.nothing(ctx, key, off)
	}
	if err != nil {
		return nil, objstore.Info{}, err
	}
	return body, info, nil
}

// nothing returns no bytes of an object that has at least off.
func (s *Store) nothing(ctx context.Context, key string, off int64) (io.ReadCloser, objstore.Info, error) {
	info, err := s.stat(ctx, key)
	if err == nil {
		_, _, err = objstore.Span(key, info.Size, off, 0)
	}
	if err != nil {
		return nil, objstore.Info{}, err
	}
	return http.NoBody, info, nil
}

// stat asks for an object's size and tag alone.
func (s *Store) stat(ctx context.Context, key string) (info objstore.Info, err error) {
	err = s.try(ctx, "get "+key, func(ctx context.Context, _ *watch) error {
		o, err := s.core.StatObject(ctx, s.address.Bucket, s.key(key), minio.StatObjectOptions{})
		info = objstore.Info{Size: o.Size, Tag: o.ETag}
		return err
	})
	return info, err
}

// List implements objstore.Store.
func (s *Store) List(ctx context.Context, prefix string, fn func(key string) error) error {
	top, answer := s.key(""), error(nil)
	err := s.try(ctx, "list "+prefix, func(ctx context.Context, w *watch) error {
		for o := range s.core.ListObjectsIter(ctx, s.address.Bucket, minio.ListObjectsOptions{Prefix: top + prefix, Recursive: true}) {
			if o.Err != nil {
				return o.Err
			}
			key := strings.TrimPrefix(o.Key, top)
			if objstore.CheckKey(key) != nil {
				continue // another's
			}
			w.rest()
			if answer = cmp.Or(ctx.Err(), fn(key)); answer != nil {
				return nil
			}
			w.moved()
		}
		return ctx.Err()
	})
	return cmp.Or(answer, err)
}

// Remove implements objstore.Store.
func (s *Store) Remove(ctx context.Context, key string) error {
	if err := cmp.Or(ctx.Err(), objstore.CheckKey(key)); err != nil {
		return err
	}
	err := s.try(ctx, "remove "+key, func(ctx context.Context, _ *watch) error {
		return s.core.RemoveObject(ctx, s.address.Bucket, s.key(key), minio.RemoveObjectOptions{})
	})
	if errors.Is(err, objstore.ErrNotExist) {
		return nil
	}
	return err
}
