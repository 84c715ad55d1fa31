package objstore

import (
	"context"
	"io"
	"sync"

	"golang.org/x/sync/semaphore"
)

// AtMost returns a store of which at most n calls are under way at once; a Get is until
// its reader is closed. It bounds the memory and the connections of a process.
func AtMost(n int64, s Store) Store { return bounded{s, semaphore.NewWeighted(n)} }

type bounded struct {
	Store
	slots *semaphore.Weighted
}

// do makes a call in one of the slots.
func (s bounded) do(ctx context.Context, call func() error) error {
	if err := s.slots.Acquire(ctx, 1); err != nil {
		return err
	}
	defer s.slots.Release(1)
	return call()
}

func (s bounded) PutIfAbsent(ctx context.Context, key string, r io.Reader, size int64) error {
	return s.do(ctx, func() error { return s.Store.PutIfAbsent(ctx, key, r, size) })
}

func (s bounded) Swap(ctx context.Context, key, old string, value []byte) (tag string, err error) {
	err = s.do(ctx, func() error { tag, err = s.Store.Swap(ctx, key, old, value); return err })
	return tag, err
}

func (s bounded) Remove(ctx context.Context, key string) error {
	return s.do(ctx, func() error { return s.Store.Remove(ctx, key) })
}

// List holds no slot while fn works: fn may call the store itself.
func (s bounded) List(ctx context.Context, prefix string, fn func(key string) error) error {
	var keys []string
	err := s.do(ctx, func() error {
		return s.Store.List(ctx, prefix, func(key string) error { keys = append(keys, key); return nil })
	})
	for _, key := range keys {
		if err == nil {
			err = fn(key)
		}
	}
	return err
}

func (s bounded) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, Info, error) {
	if err := s.slots.Acquire(ctx, 1); err != nil {
		return nil, Info{}, err
	}
	r, info, err := s.Store.Get(ctx, key, off, n)
	if err != nil {
		s.slots.Release(1)
		return nil, Info{}, err
	}
	return &held{ReadCloser: r, release: sync.OnceFunc(func() { s.slots.Release(1) })}, info, nil
}

// held keeps its slot until it is closed.
type held struct {
	io.ReadCloser
	release func()
}

func (h *held) Close() error {
	defer h.release()
	return h.ReadCloser.Close()
}
