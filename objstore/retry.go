package objstore

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Retry returns a store that makes calls of s again that failed with ErrTemporary, with
// growing pauses, until patience is over since the first of them failed. What came of a
// call whose reply was lost is found out: a Swap whose value is there has succeeded. A Get
// goes on where its bytes stopped.
func Retry(s Store, patience time.Duration) Store { return retry{s, patience} }

type retry struct {
	Store
	patience time.Duration // from the first failure to the last
}

const (
	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
)

// again makes a call until it succeeds, fails for good, or has been tried for too long.
func (s retry) again(ctx context.Context, call func() error) error {
	tries, failed := 0, time.Time{}
	b := &backoff.ExponentialBackOff{InitialInterval: firstPause, RandomizationFactor: 0.5, Multiplier: 2, MaxInterval: maxPause}
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		tries++
		err := call()
		if failed.IsZero() {
			failed = time.Now() // a large object may have been under way for long before
		}
		if err != nil && (!errors.Is(err, ErrTemporary) || time.Since(failed) > s.patience) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(b), backoff.WithMaxElapsedTime(0))
	if tries > 1 && errors.Is(err, ErrTemporary) {
		return fmt.Errorf("%w (tried %d times)", err, tries)
	}
	return err
}

func (s retry) PutIfAbsent(ctx context.Context, key string, r io.Reader, size int64) error {
	body, start, err := Seekable(r)
	if err != nil {
		return fmt.Errorf("put %s: %w", key, err)
	}
	return s.again(ctx, func() error {
		if _, err := body.Seek(start, io.SeekStart); err != nil {
			return fmt.Errorf("put %s: %w", key, err)
		}
		return s.Store.PutIfAbsent(ctx, key, body, size)
	})
}

func (s retry) Swap(ctx context.Context, key, old string, value []byte) (tag string, err error) {
	lost := false // the reply of a try
	err = s.again(ctx, func() error {
		tag, err = s.Store.Swap(ctx, key, old, value)
		if lost && errors.Is(err, ErrStale) {
			now, nowTag, rerr := ReadAll(ctx, s.Store, key)
			if rerr == nil && bytes.Equal(now, value) {
				tag, err = nowTag, nil
			} else if errors.Is(rerr, ErrTemporary) {
				err = rerr
			}
		}
		lost = lost || errors.Is(err, ErrTemporary)
		return err
	})
	return tag, err
}

func (s retry) Remove(ctx context.Context, key string) error {
	return s.again(ctx, func() error { return s.Store.Remove(ctx, key) })
}

// List begins again behind the last key that fn was given. An error of fn is the caller's,
// whatever it says.
func (s retry) List(ctx context.Context, prefix string, fn func(key string) error) error {
	last, answer := "", error(nil)
	err := s.again(ctx, func() error {
		err := s.Store.List(ctx, prefix, func(key string) error {
			if last == "" || key > last {
				last, answer = key, fn(key)
			}
			return answer
		})
		if answer != nil {
			return nil
		}
		return err
	})
	return cmp.Or(answer, err)
}

func (s retry) Get(ctx context.Context, key string, off, n int64) (r io.ReadCloser, info Info, err error) {
	err = s.again(ctx, func() error {
		r, info, err = s.Store.Get(ctx, key, off, n)
		return err
	})
	if err != nil {
		return nil, Info{}, err
	}
	from, to, err := Span(key, info.Size, off, n)
	if err != nil {
		return nil, Info{}, errors.Join(err, r.Close())
	}
	return &resumed{ctx: ctx, s: s, key: key, info: info, off: from, end: to, r: r}, info, nil
}

// resumed reads an object to the end of the range that was asked for, over as many Gets
// as that takes. (Objects but HEAD never change; that one is small, and read again whole.)
type resumed struct {
	ctx      context.Context
	s        retry
	key      string
	info     Info
	off, end int64
	r        io.ReadCloser
}

func (r *resumed) Read(p []byte) (n int, err error) {
	if r.off >= r.end {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	err = r.s.again(r.ctx, func() error {
		if r.r == nil {
			if err := r.resume(); err != nil {
				return err
			}
		}
		n, err = r.r.Read(p[:min(int64(len(p)), r.end-r.off)])
		r.off += int64(n)
		switch {
		case n > 0 || err == nil:
			return nil
		case err == io.EOF: // fewer bytes came than were announced
			err = fmt.Errorf("get %s: %w: it ended at byte %d of %d", r.key, ErrTemporary, r.off, r.end)
		}
		_ = r.Close()
		return err
	})
	return n, err
}

// resume asks for the rest.
func (r *resumed) resume() error {
	body, info, err := r.s.Store.Get(r.ctx, r.key, r.off, r.end-r.off)
	if err != nil {
		return err
	}
	if info != r.info {
		return errors.Join(fmt.Errorf("get %s: it has changed while it was read: %w", r.key, ErrStale), body.Close())
	}
	r.r = body
	return nil
}

func (r *resumed) Close() error {
	if r.r == nil {
		return nil
	}
	err := r.r.Close()
	r.r = nil
	return err
}
