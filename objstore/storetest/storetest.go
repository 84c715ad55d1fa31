// Package storetest is what every objstore.Store must show, and faults to test
// its users with.
package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"carillon/objstore"
)

// Run tests the stores that open returns, each empty.
func Run(t *testing.T, open func(t *testing.T) objstore.Store) {
	for _, tt := range []struct {
		name string
		run  func(*testing.T, objstore.Store)
	}{
		{"AnObjectIsThereWholeAndNeverChanges", putOnce},
		{"ARangeIsCutToTheObject", ranges},
		{"AReaderOfAnotherSizeStoresNothing", wrongSize},
		{"OfRacingCreatorsOneWins", raceCreate},
		{"SwapWantsTheTag", swap},
		{"RacingSwapsLoseNoUpdate", raceSwap},
		{"ListIsInKeyOrder", list},
		{"RemovingTwiceIsNoError", remove},
		{"BadKeysAreRefused", badKeys},
		{"AnEndedContextEndsTheCall", ended},
		{"TheProbeFindsNothing", probed},
	} {
		t.Run(tt.name, func(t *testing.T) { tt.run(t, open(t)) })
	}
}

func probed(t *testing.T, s objstore.Store) {
	if err := objstore.Broken(objstore.Probe(t.Context(), s)); err != nil {
		t.Error(err)
	}
}

func put(t *testing.T, s objstore.Store, key, value string) error {
	t.Helper()
	return s.PutIfAbsent(t.Context(), key, strings.NewReader(value), int64(len(value)))
}

func mustPut(t *testing.T, s objstore.Store, key, value string) {
	t.Helper()
	if err := put(t, s, key, value); err != nil {
		t.Fatal(err)
	}
}

func want(t *testing.T, s objstore.Store, key, value string) {
	t.Helper()
	if b, _, err := objstore.ReadAll(t.Context(), s, key); err != nil || string(b) != value {
		t.Errorf("%s holds %.40q (%v), want %.40q", key, b, err, value)
	}
}

func putOnce(t *testing.T, s objstore.Store) {
	big := strings.Repeat("0123456789abcdef", 1<<16) // 1 MiB
	for key, value := range map[string]string{"j/1-10/small": "x", "j/1-10/none": "", "j/1-10/big": big} {
		mustPut(t, s, key, value)
		if err := put(t, s, key, "other"); !errors.Is(err, objstore.ErrExist) {
			t.Errorf("put %s again: %v, want ErrExist", key, err)
		}
		want(t, s, key, value)
	}
	if _, _, err := s.Get(t.Context(), "j/1-10/missing", 0, -1); !errors.Is(err, objstore.ErrNotExist) {
		t.Errorf("get a missing object: %v, want ErrNotExist", err)
	}
	if _, _, err := s.Get(t.Context(), "j/1-10", 0, -1); !errors.Is(err, objstore.ErrNotExist) {
		t.Errorf("get a folder: %v, want ErrNotExist", err)
	}
}

func ranges(t *testing.T, s objstore.Store) {
	for _, times := range []int{1, 1 << 14} { // 10 bytes and 160 KiB
		key, value := fmt.Sprintf("r/%d", times), strings.Repeat("0123456789", times)
		mustPut(t, s, key, value)
		size := int64(len(value))
		for _, tt := range []struct{ off, n, from, to int64 }{
			{0, -1, 0, size}, {3, 4, 3, 7}, {size - 2, 10, size - 2, size}, {size, -1, size, size}, {0, 0, 0, 0},
		} {
			r, info, err := s.Get(t.Context(), key, tt.off, tt.n)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			if err = errors.Join(err, r.Close()); err != nil || string(b) != value[tt.from:tt.to] || info.Size != size {
				t.Errorf("get(%d, %d) of %d bytes: %d bytes of %d, %v", tt.off, tt.n, size, len(b), info.Size, err)
			}
		}
		for _, off := range []int64{-1, size + 1} {
			if _, _, err := s.Get(t.Context(), key, off, 1); err == nil {
				t.Errorf("get from byte %d of %d: no error", off, size)
			}
		}
	}
}

func wrongSize(t *testing.T, s objstore.Store) {
	for _, size := range []int64{2, 4} {
		if err := s.PutIfAbsent(t.Context(), "w/x", strings.NewReader("abc"), size); err == nil {
			t.Errorf("3 bytes announced as %d: no error", size)
		}
		if _, _, err := s.Get(t.Context(), "w/x", 0, -1); !errors.Is(err, objstore.ErrNotExist) {
			t.Errorf("after a failed put: %v, want ErrNotExist", err)
		}
	}
	mustPut(t, s, "w/x", "abc")
}

func raceCreate(t *testing.T, s objstore.Store) {
	const creators = 16
	errs := make([]error, creators)
	var wg sync.WaitGroup
	for i := range creators {
		wg.Go(func() { errs[i] = put(t, s, "race/x", strings.Repeat(strconv.Itoa(i), 1000)) })
	}
	wg.Wait()
	winner := slices.Index(errs, nil)
	if winner < 0 {
		t.Fatalf("nobody won: %v", errs)
	}
	for i, err := range errs {
		if i != winner && !errors.Is(err, objstore.ErrExist) {
			t.Errorf("creator %d beside the winner %d: %v, want ErrExist", i, winner, err)
		}
	}
	want(t, s, "race/x", strings.Repeat(strconv.Itoa(winner), 1000))
}

func swap(t *testing.T, s objstore.Store) {
	ctx := t.Context()
	if _, err := s.Swap(ctx, "j/HEAD", "nonsense", []byte("a")); !errors.Is(err, objstore.ErrStale) {
		t.Errorf("swap an absent object by a tag: %v, want ErrStale", err)
	}
	first, err := s.Swap(ctx, "j/HEAD", "", []byte("a"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Swap(ctx, "j/HEAD", "", []byte("b")); !errors.Is(err, objstore.ErrStale) {
		t.Errorf("create what is there: %v, want ErrStale", err)
	}
	if _, tag, err := objstore.ReadAll(ctx, s, "j/HEAD"); err != nil || tag != first {
		t.Errorf("get gives tag %q (%v), swap gave %q", tag, err, first)
	}
	if _, err := s.Swap(ctx, "j/HEAD", first, []byte("b")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Swap(ctx, "j/HEAD", first, []byte("c")); !errors.Is(err, objstore.ErrStale) {
		t.Errorf("swap by an old tag: %v, want ErrStale", err)
	}
	want(t, s, "j/HEAD", "b")
	if _, err := s.Swap(ctx, "j/BIG", "", make([]byte, objstore.MaxSwap+1)); err == nil {
		t.Errorf("a value over MaxSwap was swapped")
	}
}

func raceSwap(t *testing.T, s objstore.Store) {
	const writers, each = 4, 10
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for range each {
				if err := increment(t.Context(), s, w); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b, _, err := objstore.ReadAll(t.Context(), s, "counter")
	if n, _, _ := strings.Cut(string(b), " "); err != nil || n != strconv.Itoa(writers*each) {
		t.Errorf("the counter is %q (%v), want %d", b, err, writers*each)
	}
}

// increment adds one to the counter; the writer's number keeps equal values apart.
func increment(ctx context.Context, s objstore.Store, writer int) error {
	for {
		b, tag, err := objstore.ReadAll(ctx, s, "counter")
		if err != nil && !errors.Is(err, objstore.ErrNotExist) {
			return err
		}
		text, _, _ := strings.Cut(string(b), " ")
		n, _ := strconv.Atoi(text) // 0 where there is none
		_, err = s.Swap(ctx, "counter", tag, fmt.Appendf(nil, "%d %d", n+1, writer))
		if !errors.Is(err, objstore.ErrStale) {
			return err
		}
	}
}

func list(t *testing.T, s objstore.Store) {
	keys := []string{"a-b", "a/b/c", "a/b/d", "a/bc", "a0", "b"} // '-' < '/' < '0'
	for _, key := range keys {
		mustPut(t, s, key, key)
	}
	for _, tt := range []struct {
		prefix string
		want   []string
	}{
		{"", keys}, {"a", keys[:5]}, {"a/", keys[1:4]}, {"a/b", keys[1:4]}, {"a/b/", keys[1:3]}, {"c", nil}, {"c/d", nil}, {"b/x", nil},
	} {
		var got []string
		err := s.List(t.Context(), tt.prefix, func(key string) error { got = append(got, key); return nil })
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("list %q: %q (%v), want %q", tt.prefix, got, err, tt.want)
		}
	}
	stop := errors.New("stop")
	calls := 0
	if err := s.List(t.Context(), "", func(string) error { calls++; return stop }); !errors.Is(err, stop) || calls != 1 {
		t.Errorf("list went on for %d calls and returned %v, want 1 and the error", calls, err)
	}
}

func remove(t *testing.T, s objstore.Store) {
	mustPut(t, s, "j/1/x", "1")
	mustPut(t, s, "j/1/y", "2")
	for range 2 {
		if err := s.Remove(t.Context(), "j/1/x"); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, err := s.Get(t.Context(), "j/1/x", 0, -1); !errors.Is(err, objstore.ErrNotExist) {
		t.Errorf("get after remove: %v, want ErrNotExist", err)
	}
	want(t, s, "j/1/y", "2")
	mustPut(t, s, "j/1/x", "3")
	want(t, s, "j/1/x", "3")
	if err := s.Remove(t.Context(), "nothing/here"); err != nil {
		t.Errorf("remove where nothing is: %v", err)
	}
}

func badKeys(t *testing.T, s objstore.Store) {
	for _, key := range []string{"", "/a", "a/", "a//b", "..", "a/../../b", ".lock", "a/.tmp", "a b", "a\x00", "ä", strings.Repeat("x", 201)} {
		_, _, getErr := s.Get(t.Context(), key, 0, -1)
		_, swapErr := s.Swap(t.Context(), key, "", []byte("x"))
		for what, err := range map[string]error{"put": put(t, s, key, "x"), "get": getErr, "swap": swapErr, "remove": s.Remove(t.Context(), key)} {
			if err == nil || errors.Is(err, objstore.ErrNotExist) {
				t.Errorf("%s %q: %v, want an error about the key", what, key, err)
			}
		}
	}
}

func ended(t *testing.T, s objstore.Store) {
	ctx, cancel := context.WithCancel(t.Context())
	mustPut(t, s, "x", "1")
	cancel()
	_, _, getErr := s.Get(ctx, "x", 0, -1)
	_, swapErr := s.Swap(ctx, "y", "", []byte("x"))
	for what, err := range map[string]error{
		"put": s.PutIfAbsent(ctx, "y", bytes.NewReader(nil), 0), "get": getErr, "swap": swapErr, "remove": s.Remove(ctx, "x"),
		"list": s.List(ctx, "", func(string) error { return nil }),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, want context canceled", what, err)
		}
	}
	want(t, s, "x", "1")
}
