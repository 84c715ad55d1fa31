package checkpoint

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"carillon/objstore"
)

// damageChunk spoils the last chunk of a checkpoint.
func damageChunk(t *testing.T, store objstore.Store, p plan) {
	t.Helper()
	key := chunkKey(id, p.Generation, p.Step, p.Chunks[len(p.Chunks)-1].SHA256)
	if err := store.Remove(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if err := store.PutIfAbsent(t.Context(), key, strings.NewReader("rust"), 4); err != nil {
		t.Fatal(err)
	}
}

func TestRecoverGoesBackToWhatIsWhole(t *testing.T) {
	onEveryStore(t, func(t *testing.T, empty func() objstore.Store) {
		store := empty()
		if _, err := Recover(t.Context(), store, id); !errors.Is(err, objstore.ErrNotExist) {
			t.Errorf("an empty store: %v, want ErrNotExist", err)
		}
		plans := map[uint64]plan{}
		for step := uint64(10); step <= 40; step += 10 {
			plans[step] = planOf(0, step)
			mustSave(t, store, term(3), plans[step])
		}
		if r, err := Recover(t.Context(), store, id); r != nil || err != nil {
			t.Fatalf("nothing is damaged: %+v, %v", r, err)
		}
		damageChunk(t, store, plans[40])
		damageChunk(t, store, plans[30])
		r, err := Recover(t.Context(), store, id)
		if err != nil || r.From != Name(0, 40) || r.To != Name(0, 20) || r.Lost != 20 || !errors.Is(r.Damage, ErrDamaged) {
			t.Fatalf("%+v, %v", r, err)
		}
		wantLatest(t, store, 20)
		if _, err := save(t.Context(), store, term(9), planOf(0, 50)); !errors.Is(err, ErrDeposed) {
			t.Errorf("the ledger before: %v, want ErrDeposed", err)
		}
		// The next ledger claims the store, and saves steps again that were lost.
		h, err := Claim(t.Context(), store, id, 1)
		if err != nil || h.Generation != 1 || h.Step != 20 {
			t.Fatal(h, err)
		}
		mustSave(t, store, Head{Incarnation: h.Incarnation, Term: 1}, planOf(1, 30))
	})
}

func TestRecoverWithoutAnyWholeCheckpointIsAnError(t *testing.T) {
	store, p := &objstore.Mem{}, planOf(0, 10)
	mustSave(t, store, term(1), p)
	damageChunk(t, store, p)
	before, _, err := ReadHead(t.Context(), store, id)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Recover(t.Context(), store, id); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "no checkpoint before step 10 is whole") {
		t.Errorf("%v", err)
	}
	if now, _, err := ReadHead(t.Context(), store, id); err != nil || now != before {
		t.Errorf("HEAD has moved to %v (%v)", now, err)
	}
}

func TestPinnedCheckpointsStay(t *testing.T) {
	onEveryStore(t, func(t *testing.T, empty func() objstore.Store) {
		store := empty()
		for step := uint64(10); step <= 40; step += 10 {
			mustSave(t, store, term(1), planOf(0, step))
		}
		prune := func() (left []uint64) {
			if err := Prune(t.Context(), store, id, Keep{Last: 1}, func([]string) error { return nil }); err != nil {
				t.Fatal(err)
			}
			all, err := List(t.Context(), store, id)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range all {
				left = append(left, m.Step)
			}
			return left
		}
		for range 2 {
			if err := Pin(t.Context(), store, id, Name(0, 20)); err != nil {
				t.Fatal(err)
			}
		}
		if err := Pin(t.Context(), store, id, Name(0, 25)); err == nil || !strings.Contains(err.Error(), "not stored") {
			t.Errorf("pin what is not there: %v", err)
		}
		if err := Pin(t.Context(), store, id, "twenty"); err == nil || !strings.Contains(err.Error(), "no checkpoint's name") {
			t.Errorf("pin what is no name: %v", err)
		}
		if left := prune(); !slices.Equal(left, []uint64{20, 40}) {
			t.Errorf("%v are left, want 20 and 40", left)
		}
		if err := Unpin(t.Context(), store, id, Name(0, 20)); err != nil {
			t.Fatal(err)
		}
		if left := prune(); !slices.Equal(left, []uint64{40}) {
			t.Errorf("%v are left, want 40", left)
		}
		if _, err := Check(t.Context(), store, id); err != nil {
			t.Error(err)
		}
	})
}

// A job that is said not to run saves, at any call of Recover: what it saved stays HEAD.
func TestRecoverBesideAJobThatSaves(t *testing.T) {
	for call := 1; ; call++ {
		store, bad := &objstore.Mem{}, planOf(0, 20)
		mustSave(t, store, term(1), planOf(0, 10))
		mustSave(t, store, term(1), bad)
		damageChunk(t, store, bad)
		var saved error
		s := &stopping{Store: store, left: call, meanwhile: func() { _, saved = save(t.Context(), store, term(1), planOf(0, 30)) }}
		r, err := Recover(t.Context(), s, id)
		h := mustHead(t, store)
		switch {
		case s.left > 0 || errors.Is(saved, ErrDeposed): // nobody saved, or too late
			if err != nil || r == nil || r.To != Name(0, 10) || h.Step != 10 {
				t.Errorf("call %d: %+v, %v; HEAD is at %v", call, r, err, h)
			}
		case saved != nil || r != nil || h.Step != 30 || err != nil && !errors.Is(err, ErrMoved):
			t.Errorf("saved before call %d (%v): %+v, %v; HEAD is at %v", call, saved, r, err, h)
		}
		if s.left > 0 {
			return // every call has been tried
		}
	}
}

// A byte that is changed on its way once is no damage.
func TestRecoverReadsTwice(t *testing.T) {
	store, p := &objstore.Mem{}, planOf(0, 20)
	mustSave(t, store, term(1), planOf(0, 10))
	mustSave(t, store, term(1), p)
	once := &flickering{Store: store, key: chunkKey(id, 0, 20, p.Chunks[0].SHA256)}
	if r, err := Recover(t.Context(), once, id); r != nil || err != nil || !once.done {
		t.Errorf("%+v, %v", r, err)
	}
	wantLatest(t, store, 20)
}

// flickering serves an object damaged once.
type flickering struct {
	objstore.Store
	key  string
	done bool
}

func (f *flickering) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, objstore.Info, error) {
	if key == f.key && !f.done {
		f.done = true
		return damaged{f.Store, key}.Get(ctx, key, off, n)
	}
	return f.Store.Get(ctx, key, off, n)
}

// What a proxy calls missing, and the store lists, is not missing.
func TestAnotherServersNotFoundIsNoDamage(t *testing.T) {
	store, p := &objstore.Mem{}, planOf(0, 20)
	mustSave(t, store, term(1), planOf(0, 10))
	mustSave(t, store, term(1), p)
	for _, hidden := range []string{chunkKey(id, 0, 20, p.Chunks[0].SHA256), mustHead(t, store).Manifest} {
		if r, err := Recover(t.Context(), hiding{store, hidden}, id); r != nil || !errors.Is(err, objstore.ErrTemporary) {
			t.Errorf("%s: %+v, %v, want ErrTemporary", hidden, r, err)
		}
	}
	wantLatest(t, store, 20)
}

type hiding struct {
	objstore.Store
	key string
}

func (h hiding) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, objstore.Info, error) {
	if key == h.key {
		return nil, objstore.Info{}, objstore.ErrNotExist
	}
	return h.Store.Get(ctx, key, off, n)
}

func mustHead(t *testing.T, store objstore.Store) Head {
	t.Helper()
	h, _, err := ReadHead(t.Context(), store, id)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// A checkpoint is pruned at any call of its restore, or pinned first: HEAD names one that is whole.
func TestRestoreBesideAPrune(t *testing.T) {
	for call := 1; ; call++ {
		store := &objstore.Mem{}
		for step := uint64(10); step <= 30; step += 10 {
			mustSave(t, store, term(1), planOf(0, step))
		}
		m, err := Find(t.Context(), store, id, Name(0, 10))
		if err != nil {
			t.Fatal(err)
		}
		s := &stopping{Store: store, left: call, meanwhile: func() {
			if err := Prune(t.Context(), store, id, Keep{Last: 1}, func([]string) error { return nil }); err != nil {
				t.Error(err)
			}
		}}
		err = RestoreTo(t.Context(), s, m)
		if _, cerr := Check(t.Context(), store, id); cerr != nil {
			t.Errorf("pruned before call %d (%v): %v", call, err, cerr)
		}
		if h := mustHead(t, store); err == nil && h.Step != 10 || err != nil && h.Step != 30 {
			t.Errorf("pruned before call %d (%v): HEAD is at %v", call, err, h)
		}
		if s.left > 0 {
			return
		}
	}
}
