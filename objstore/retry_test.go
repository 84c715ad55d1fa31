package objstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"carillon/objstore"
	"carillon/objstore/storetest"
)

// stumbling fails the first so many of its calls, before they take effect or after.
type stumbling struct {
	objstore.Store
	left  int
	after bool // the reply is lost, not the request
}

func (s *stumbling) call(do func() error) error {
	if s.left == 0 {
		return do()
	}
	s.left--
	if s.after {
		_ = do()
	}
	return fmt.Errorf("a cable: %w", objstore.ErrTemporary)
}

func (s *stumbling) PutIfAbsent(ctx context.Context, key string, r io.Reader, size int64) error {
	return s.call(func() error { return s.Store.PutIfAbsent(ctx, key, r, size) })
}

func (s *stumbling) Swap(ctx context.Context, key, old string, value []byte) (tag string, err error) {
	err = s.call(func() error { tag, err = s.Store.Swap(ctx, key, old, value); return err })
	return tag, err
}

func (s *stumbling) Remove(ctx context.Context, key string) error {
	return s.call(func() error { return s.Store.Remove(ctx, key) })
}

func (s *stumbling) List(ctx context.Context, prefix string, fn func(string) error) error {
	if s.left == 0 {
		return s.Store.List(ctx, prefix, fn)
	}
	s.left--
	cut := errors.New("cut")
	n := 0
	err := s.Store.List(ctx, prefix, func(key string) error {
		if n++; n > 1 {
			return cut
		}
		return fn(key)
	})
	if errors.Is(err, cut) {
		err = fmt.Errorf("a cable: %w", objstore.ErrTemporary)
	}
	return err
}

// Get hands out readers that end too soon.
func (s *stumbling) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, objstore.Info, error) {
	r, info, err := s.Store.Get(ctx, key, off, n)
	if s.left > 0 && err == nil {
		s.left--
		r = io.NopCloser(io.LimitReader(r, 3))
	}
	return r, info, err
}

func TestRetryFindsOutWhatCameOfALostCall(t *testing.T) {
	for _, after := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ctx := t.Context()
			flaky := &stumbling{Store: &objstore.Mem{}, after: after}
			s := objstore.Retry(flaky, time.Minute)
			stumble := func(what string, times int, do func() error) {
				flaky.left = times
				if err := do(); err != nil || flaky.left != 0 {
					t.Errorf("after=%v: %s: %v, %d stumbles left", after, what, err, flaky.left)
				}
			}
			stumble("put", 3, func() error {
				err := s.PutIfAbsent(ctx, "a/x", strings.NewReader("0123456789"), 10)
				if after && errors.Is(err, objstore.ErrExist) {
					return nil // its name is its content, so callers take that for success
				}
				return err
			})
			var tag string
			stumble("create by swap", 3, func() (err error) { tag, err = s.Swap(ctx, "a/HEAD", "", []byte("one")); return err })
			stumble("swap", 3, func() (err error) { _, err = s.Swap(ctx, "a/HEAD", tag, []byte("two")); return err })
			stumble("get", 3, func() error {
				b, _, err := objstore.ReadAll(ctx, s, "a/x")
				if string(b) != "0123456789" {
					t.Errorf("get %q", b)
				}
				return err
			})
			stumble("list", 1, func() error {
				var got []string
				err := s.List(ctx, "a/", func(key string) error { got = append(got, key); return nil })
				if !slices.Equal(got, []string{"a/HEAD", "a/x"}) {
					t.Errorf("listed %q", got)
				}
				return err
			})
			stumble("remove", 3, func() error { return s.Remove(ctx, "a/x") })
			if _, err := s.Swap(ctx, "a/HEAD", tag, []byte("three")); !errors.Is(err, objstore.ErrStale) {
				t.Errorf("a stale swap: %v", err)
			}
		})
	}
}

func TestRetryDoesNotTakeAnothersSwapForItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := &objstore.Mem{}
		flaky := &stumbling{Store: mem, left: 1}
		if _, err := mem.Swap(t.Context(), "HEAD", "", []byte("another's")); err != nil {
			t.Fatal(err)
		}
		if _, err := objstore.Retry(flaky, time.Minute).Swap(t.Context(), "HEAD", "", []byte("mine")); !errors.Is(err, objstore.ErrStale) {
			t.Errorf("%v, want ErrStale", err)
		}
	})
}

func TestRetryDoesNotListAgainForTheCallersError(t *testing.T) {
	mem := &objstore.Mem{}
	for _, key := range []string{"a", "b"} {
		if err := mem.PutIfAbsent(t.Context(), key, bytes.NewReader(nil), 0); err != nil {
			t.Fatal(err)
		}
	}
	calls := 0
	err := objstore.Retry(mem, time.Minute).List(t.Context(), "", func(string) error { calls++; return objstore.ErrTemporary })
	if !errors.Is(err, objstore.ErrTemporary) || calls != 1 {
		t.Errorf("%v after %d calls, want the caller's error after 1", err, calls)
	}
}

func TestRetryGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := objstore.Retry(&stumbling{Store: &objstore.Mem{}, left: 1 << 30}, time.Minute)
		began := time.Now()
		err := s.Remove(t.Context(), "x")
		if took := time.Since(began); !errors.Is(err, objstore.ErrTemporary) || !strings.Contains(err.Error(), "tried") || took > time.Minute+10*time.Second || took < time.Minute {
			t.Errorf("after %v: %v", took, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := s.Remove(ctx, "x"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("an ended context: %v", err)
		}
	})
}

func TestRetryReadsARangeOverManyGets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mem := &objstore.Mem{}
		value := strings.Repeat("0123456789", 10)
		if err := mem.PutIfAbsent(t.Context(), "x", strings.NewReader(value), 100); err != nil {
			t.Fatal(err)
		}
		s := objstore.Retry(&stumbling{Store: mem, left: 7}, time.Minute)
		r, info, err := s.Get(t.Context(), "x", 10, 50)
		if err != nil || info.Size != 100 {
			t.Fatal(info, err)
		}
		b, err := io.ReadAll(r)
		if err != nil || string(b) != value[10:60] {
			t.Errorf("%q, %v", b, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
}

func TestWrappersAreStores(t *testing.T) {
	for name, wrap := range map[string]func(objstore.Store) objstore.Store{
		"Retry":  func(s objstore.Store) objstore.Store { return objstore.Retry(s, time.Minute) },
		"AtMost": func(s objstore.Store) objstore.Store { return objstore.AtMost(2, s) },
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(*testing.T) objstore.Store { return wrap(&objstore.Mem{}) })
		})
	}
}

func TestAtMostBoundsTheCalls(t *testing.T) {
	ctx := t.Context()
	mem := &objstore.Mem{}
	if err := mem.PutIfAbsent(ctx, "x", bytes.NewReader(nil), 0); err != nil {
		t.Fatal(err)
	}
	s := objstore.AtMost(1, mem)
	r, _, err := s.Get(ctx, "x", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := s.Remove(ended, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("a second call while a reader is open: %v", err)
	}
	r.Close()
	r.Close() // twice is once
	if err := s.Remove(ctx, "x"); err != nil {
		t.Error(err)
	}
}
