package objstore

import (
	"context"
	"errors"
	"io"
	"time"
)

// The outcomes of a call that a Counter hears of.
const (
	OK        = "ok"
	Refused   = "refused" // a condition did not hold: it exists, does not, or has changed
	Temporary = "temporary"
	Failed    = "failed"
)

// Counter hears of each call that was made: what it was, how it ended, how long it took,
// and how many bytes it moved.
type Counter func(call, outcome string, took time.Duration, bytes int64)

// Counted returns a store that tells of each call.
func Counted(s Store, tell Counter) Store { return counted{s, tell} }

type counted struct {
	Store
	tell Counter
}

func outcome(err error) string {
	switch {
	case err == nil:
		return OK
	case errors.Is(err, ErrExist), errors.Is(err, ErrNotExist), errors.Is(err, ErrStale):
		return Refused
	case errors.Is(err, ErrTemporary):
		return Temporary
	}
	return Failed
}

func (s counted) PutIfAbsent(ctx context.Context, key string, r io.Reader, size int64) error {
	began := time.Now()
	err := s.Store.PutIfAbsent(ctx, key, r, size)
	s.tell("put", outcome(err), time.Since(began), size)
	return err
}

// Get is told when its reader is closed.
func (s counted) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, Info, error) {
	began := time.Now()
	r, info, err := s.Store.Get(ctx, key, off, n)
	if err != nil {
		s.tell("get", outcome(err), time.Since(began), 0)
		return nil, info, err
	}
	return &countedReader{ReadCloser: r, began: began, tell: s.tell}, info, nil
}

type countedReader struct {
	io.ReadCloser
	began  time.Time
	tell   Counter
	bytes  int64
	err    error
	closed bool
}

func (r *countedReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.bytes += int64(n)
	if err != nil && err != io.EOF {
		r.err = err
	}
	return n, err
}

func (r *countedReader) Close() error {
	if !r.closed {
		r.closed = true
		r.tell("get", outcome(r.err), time.Since(r.began), r.bytes)
	}
	return r.ReadCloser.Close()
}

func (s counted) Swap(ctx context.Context, key, old string, value []byte) (string, error) {
	began := time.Now()
	tag, err := s.Store.Swap(ctx, key, old, value)
	s.tell("swap", outcome(err), time.Since(began), int64(len(value)))
	return tag, err
}

func (s counted) List(ctx context.Context, prefix string, fn func(key string) error) error {
	began := time.Now()
	err := s.Store.List(ctx, prefix, fn)
	s.tell("list", outcome(err), time.Since(began), 0)
	return err
}

func (s counted) Remove(ctx context.Context, key string) error {
	began := time.Now()
	err := s.Store.Remove(ctx, key)
	s.tell("remove", outcome(err), time.Since(began), 0)
	return err
}
