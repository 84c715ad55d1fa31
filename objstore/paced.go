package objstore

import (
	"context"
	"io"

	"golang.org/x/time/rate"
)

// Paced returns a store that is called at most so many times a second by this process, in
// bursts of as many at most: for a server that turns away who asks more.
func Paced(perSecond float64, s Store) Store {
	return paced{s, rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond)))}
}

type paced struct {
	Store
	limit *rate.Limiter
}

func (s paced) PutIfAbsent(ctx context.Context, key string, r io.Reader, size int64) error {
	if err := s.limit.Wait(ctx); err != nil {
		return err
	}
	return s.Store.PutIfAbsent(ctx, key, r, size)
}

func (s paced) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, Info, error) {
	if err := s.limit.Wait(ctx); err != nil {
		return nil, Info{}, err
	}
	return s.Store.Get(ctx, key, off, n)
}

func (s paced) Swap(ctx context.Context, key, old string, value []byte) (string, error) {
	if err := s.limit.Wait(ctx); err != nil {
		return "", err
	}
	return s.Store.Swap(ctx, key, old, value)
}

// List is one call, however many pages the server makes of it.
func (s paced) List(ctx context.Context, prefix string, fn func(key string) error) error {
	if err := s.limit.Wait(ctx); err != nil {
		return err
	}
	return s.Store.List(ctx, prefix, fn)
}

func (s paced) Remove(ctx context.Context, key string) error {
	if err := s.limit.Wait(ctx); err != nil {
		return err
	}
	return s.Store.Remove(ctx, key)
}
