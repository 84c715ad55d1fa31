package objstore_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"carillon/objstore"
	"carillon/objstore/storetest"
)

// A store that is paced or counted is still one.
func TestPacedAndCountedAreStores(t *testing.T) {
	for name, wrap := range map[string]func(objstore.Store) objstore.Store{
		"paced": func(s objstore.Store) objstore.Store { return objstore.Paced(1e6, s) },
		"counted": func(s objstore.Store) objstore.Store {
			return objstore.Counted(s, func(string, string, time.Duration, int64) {})
		},
	} {
		t.Run(name, func(t *testing.T) {
			storetest.Run(t, func(*testing.T) objstore.Store { return wrap(&objstore.Mem{}) })
		})
	}
}

func TestPacedWaits(t *testing.T) {
	s := objstore.Paced(1, &objstore.Mem{})
	put := func(ctx context.Context, key string) error {
		return s.PutIfAbsent(ctx, key, strings.NewReader("x"), 1)
	}
	if err := put(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := put(ctx, "b"); err == nil || errors.Is(err, objstore.ErrExist) {
		t.Errorf("the second call within a second: %v, want that it has to wait longer than its context", err)
	}
	if _, _, err := s.Get(t.Context(), "b", 0, -1); !errors.Is(err, objstore.ErrNotExist) {
		t.Errorf("%v; want that it was never made", err)
	}
}

func TestCountedTellsOfEachCall(t *testing.T) {
	var mu sync.Mutex
	var told []string
	s := objstore.Counted(&objstore.Mem{}, func(call, outcome string, took time.Duration, bytes int64) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, fmt.Sprint(call, " ", outcome, " ", bytes))
	})
	ctx := t.Context()
	_ = s.PutIfAbsent(ctx, "a", strings.NewReader("four"), 4)
	_ = s.PutIfAbsent(ctx, "a", strings.NewReader("four"), 4)
	r, _, err := s.Get(ctx, "a", 1, 2)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.ReadAll(r)
	r.Close()
	_, _, _ = s.Get(ctx, "b", 0, -1)
	_, _ = s.Swap(ctx, "h", "", []byte("v"))
	_, _ = s.Swap(ctx, "h", "stale", []byte("v"))
	_ = s.List(ctx, "", func(string) error { return nil })
	_ = s.Remove(ctx, "a")
	want := []string{"put ok 4", "put refused 4", "get ok 2", "get refused 0", "swap ok 1", "swap refused 1", "list ok 0", "remove ok 0"}
	if !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}
