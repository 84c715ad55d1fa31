package node

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"carillon/objstore"
	"carillon/train"
	"carillon/wire"
)

// fullStore has no room left.
type fullStore struct {
	objstore.Store
	err  error
	puts atomic.Int32
}

func (f *fullStore) PutIfAbsent(context.Context, string, io.Reader, int64) error {
	f.puts.Add(1)
	return f.err
}

func stateAt(step uint64, w float32) *train.State {
	return &train.State{Step: step, Updates: step, W: []float32{w}, M: []float32{0}, V: []float32{0}}
}

func TestFullStoreIsNotWaitedOut(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int // times that the node gives up
	}{{objstore.ErrFull, 1}, {errors.New("the network is down"), 0}} {
		store, gave := &fullStore{Store: &objstore.Mem{}, err: tt.err}, 0
		var s *saver
		s = newSaver("j", store, 0, 1, 2, slog.New(slog.DiscardHandler), func() {}, func(err error) {
			s.parts() // as the beat does that tells of it
			if !errors.Is(err, objstore.ErrFull) {
				t.Errorf("gave up with %v", err)
			}
			gave++
		})
		if err := s.Save(stateAt(3, 1), 0, 1, true); err != nil {
			t.Fatal(err)
		}
		s.wait()
		s.wanted(3, []int{0}) // every beat's answer says so
		s.wait()
		if gave != tt.want || store.puts.Load() != 1 {
			t.Errorf("%v: gave up %d times, want %d; %d attempts within a second, want 1", tt.err, gave, tt.want, store.puts.Load())
		}
	}
}

// Chunks are asked for while newer states are saved: what is stored is always
// what its step was, also when its memory is about to be taken.
func TestChunksOfACopyAreOfItsStep(t *testing.T) {
	store := &objstore.Mem{}
	s := newSaver("j", store, 0, 1, 2, slog.New(slog.DiscardHandler), func() {}, func(err error) { t.Error(err) })
	var asking sync.WaitGroup
	for step := uint64(1); step <= 50; step++ {
		if err := s.Save(stateAt(step, float32(step)), 1, 2, true); err != nil { // the one chunk is rank 0's
			t.Fatal(err)
		}
		asking.Go(func() { s.wanted(step, []int{0}) })
	}
	asking.Wait()
	s.wait()
	seen := map[string]uint64{}
	for _, p := range s.parts() {
		if p.Index == wire.Whole {
			continue
		}
		if at, ok := seen[p.SHA256]; ok {
			t.Errorf("steps %d and %d have the same chunk", at, p.Step)
		}
		seen[p.SHA256] = p.Step
	}
}

// slowStore takes its time: until it is told to go on.
type slowStore struct {
	objstore.Store
	goOn chan struct{}
}

func (s slowStore) PutIfAbsent(ctx context.Context, key string, r io.Reader, size int64) error {
	<-s.goOn
	return s.Store.PutIfAbsent(ctx, key, r, size)
}

// A store that is slower than the job saves: training goes on, the two copies are all
// that is kept, and what is left out is told.
func TestASlowStoreDoesNotHoldTraining(t *testing.T) { synctest.Test(t, slowStoreDoesNotHoldTraining) }

func slowStoreDoesNotHoldTraining(t *testing.T) {
	slow := slowStore{&objstore.Mem{}, make(chan struct{})}
	s := newSaver("j", slow, 0, 1, 2, slog.New(slog.DiscardHandler), func() {}, func(err error) { t.Error(err) })
	save := func(step uint64, needed bool) {
		t.Helper()
		if err := s.Save(stateAt(step, float32(step)), 0, 1, needed); err != nil {
			t.Fatal(err)
		}
	}
	for step := uint64(1); step <= 9; step++ {
		save(step, false)
	}
	if s.late() != 9 {
		t.Errorf("the last that was left out is of step %d, want 9", s.late())
	}
	saved := false
	last := make(chan struct{})
	go func() { defer close(last); save(10, true); saved = true }() // the job's last
	synctest.Wait()
	if saved {
		t.Error("a copy that is needed has not waited for its memory")
	}
	close(slow.goOn)
	<-last
	s.wait()
	stored := map[uint64]bool{}
	for _, p := range s.parts() {
		if p.Index != wire.Whole {
			stored[p.Step] = true
		}
	}
	if !stored[2] || !stored[10] || len(stored) != 2 {
		t.Errorf("stored and kept: %v, want steps 2 and 10", stored)
	}
}
