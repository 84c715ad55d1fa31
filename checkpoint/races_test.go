package checkpoint

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"carillon/objstore"
)

var rounds = flag.Int("rounds", 60, "how often two leaders race, on each store")

// Two leaders race for HEAD, again and again: one wins each time, HEAD never goes back,
// and what it names is whole.
func TestTwoLeadersRaceForHead(t *testing.T) {
	onEveryStore(t, func(t *testing.T, empty func() objstore.Store) {
		store := empty()
		for n := range uint64(*rounds) {
			var wg sync.WaitGroup
			var heads [2]Head
			var errs [2]error
			for leader := range 2 { // a new term each, as after an election that both believe to have won
				wg.Go(func() {
					by := term(1 + 2*n + uint64(leader))
					heads[leader], errs[leader] = save(t.Context(), store, by, planOf(0, 10*(1+n)))
				})
			}
			wg.Wait()
			h, _, err := ReadHead(t.Context(), store, id)
			if err != nil || h.Step != 10*(1+n) {
				t.Fatalf("round %d: HEAD is at %v (%v)", n, h, err)
			}
			won := 0
			for leader := range 2 {
				switch {
				case errs[leader] == nil && heads[leader] == h:
					won++
				case errs[leader] == nil || !errors.Is(errs[leader], ErrDeposed):
					t.Fatalf("round %d: leader %d: %v, %v", n, leader, heads[leader], errs[leader])
				}
			}
			if won == 0 {
				t.Fatalf("round %d: nobody won: %v", n, errs)
			}
		}
		if _, err := Check(t.Context(), store, id); err != nil {
			t.Error(err)
		}
		wantLatest(t, store, uint64(10**rounds))
	})
}

// stopping stops its caller before its n-th call, as SIGSTOP does, while meanwhile runs.
type stopping struct {
	objstore.Store
	mu        sync.Mutex
	left      int
	meanwhile func()
}

func (s *stopping) call() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.left--; s.left == 0 {
		s.meanwhile()
	}
}

func (s *stopping) PutIfAbsent(ctx context.Context, key string, r io.Reader, size int64) error {
	s.call()
	return s.Store.PutIfAbsent(ctx, key, r, size)
}

func (s *stopping) Swap(ctx context.Context, key, old string, value []byte) (string, error) {
	s.call()
	return s.Store.Swap(ctx, key, old, value)
}

func (s *stopping) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, objstore.Info, error) {
	s.call()
	return s.Store.Get(ctx, key, off, n)
}

// A leader is stopped at any call of its commit and wakes after its successor's: it is
// refused, and HEAD stays where the successor left it.
func TestALeaderThatWakesTooLate(t *testing.T) {
	onEveryStore(t, func(t *testing.T, empty func() objstore.Store) {
		for call := 1; ; call++ {
			store := empty()
			mustSave(t, store, term(1), planOf(0, 10))
			s := &stopping{Store: store, left: call, meanwhile: func() { mustSave(t, store, term(2), planOf(0, 30)) }}
			_, err := save(t.Context(), s, term(1), planOf(0, 20))
			if s.left > 0 {
				return // the commit needs fewer calls: every one has been tried
			}
			if !errors.Is(err, ErrDeposed) {
				t.Fatalf("stopped before call %d: %v, want ErrDeposed", call, err)
			}
			wantLatest(t, store, 30)
			if h, _, err := ReadHead(t.Context(), store, id); err != nil || h.Term != 2 {
				t.Fatalf("stopped before call %d: HEAD is at %v (%v)", call, h, err)
			}
		}
	})
}

// 200 checkpoints are saved while others prune and read: a reader always gets one whole,
// not older than the one before, and what HEAD has named is whole or was pruned.
func TestSavingPruningAndReadingAtOnce(t *testing.T) {
	const saves, last = 200, 3
	onEveryStore(t, func(t *testing.T, empty func() objstore.Store) {
		store := empty()
		mustSave(t, store, term(1), planOf(0, 1))
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { pruneUntil(ctx, t, store, Keep{Last: last, Every: 50}) })
		wg.Go(func() { readUntil(ctx, t, store) })
		for step := uint64(2); step <= saves; step++ {
			if _, err := save(ctx, store, term(1), planOf(0, step)); err != nil {
				t.Error(err)
			}
		}
		cancel()
		wg.Wait()
		if err := Prune(t.Context(), store, id, Keep{Last: last, Every: 50}, func([]string) error { return nil }); err != nil {
			t.Fatal(err)
		}
		report, err := Check(t.Context(), store, id)
		if err != nil {
			t.Fatal(err)
		}
		var steps []uint64
		for _, c := range report.Checkpoints {
			steps = append(steps, c.Step)
		}
		if want := []uint64{50, 100, 150, 198, 199, 200}; !slices.Equal(steps, want) || len(report.Orphans) > 0 {
			t.Errorf("%v are left (want %v), and %d orphans", steps, want, len(report.Orphans))
		}
	})
}

func pruneUntil(ctx context.Context, t *testing.T, store objstore.Store, keep Keep) {
	for ctx.Err() == nil {
		if err := Prune(ctx, store, id, keep, func([]string) error { return nil }); err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	}
}

func readUntil(ctx context.Context, t *testing.T, store objstore.Store) {
	for last := uint64(0); ctx.Err() == nil; {
		m, state, err := Load(ctx, store, id)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			t.Error(err)
			return
		case m.Step < last || string(state) != fmt.Sprintf("state 0 %d;", m.Step):
			t.Errorf("after step %d a reader got step %d and %q", last, m.Step, state)
		}
		last = m.Step
	}
}

// mistagged changes the tags of what is read, as proxies do that compress.
type mistagged struct{ objstore.Store }

func (m mistagged) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, objstore.Info, error) {
	r, info, err := m.Store.Get(ctx, key, off, n)
	info.Tag = "W/" + info.Tag
	return r, info, err
}

func TestWrongTagsAreAnErrorAndNoLoop(t *testing.T) {
	store := &objstore.Mem{}
	mustSave(t, store, term(1), planOf(0, 10))
	if _, err := save(t.Context(), mistagged{store}, term(1), planOf(0, 20)); err == nil || !strings.Contains(err.Error(), "change ETags") {
		t.Errorf("%v, want an error about tags", err)
	}
	wantLatest(t, store, 10)
}
