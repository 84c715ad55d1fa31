package checkpoint

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"

	"carillon/job"
	"carillon/objstore"
	"carillon/objstore/storetest"
)

const id = job.ID("j1")

// plan is a checkpoint to be saved: its manifest and its state.
type plan struct {
	Manifest
	state []byte
}

// planOf makes up the small state of a step, of one chunk.
func planOf(generation, step uint64) plan { return planAfter(0, generation, step) }

// planAfter makes up a state that begins with chunks full of zeros.
func planAfter(chunks int, generation, step uint64) plan {
	state := fmt.Appendf(make([]byte, chunks*ChunkSize), "state %d %d;", generation, step)
	m := Manifest{Job: id, Identity: sumOf([]byte("identity")), Generation: generation, Step: step, Digest: sumOf(state), Size: int64(len(state)), Spec: json.RawMessage(`{"seed":1}`)}
	for i, r := range Ranges(m.Size) {
		m.Chunks = append(m.Chunks, Chunk{i, sumOf(state[r.From:r.To]), r.To - r.From})
	}
	return plan{m, state}
}

// save does what two nodes and a leader do.
func save(ctx context.Context, store objstore.Store, by Head, p plan) (Head, error) {
	ranges := Ranges(p.Size)
	for rank := range 2 {
		for _, i := range Share(len(ranges), rank, 2) {
			if _, err := PutChunk(ctx, store, id, p.Generation, p.Step, p.state[ranges[i].From:ranges[i].To]); err != nil {
				return Head{}, err
			}
		}
	}
	return Commit(ctx, store, by, p.Manifest)
}

func mustSave(t *testing.T, store objstore.Store, by Head, p plan) {
	t.Helper()
	if _, err := save(t.Context(), store, by, p); err != nil {
		t.Fatal(err)
	}
	wantLatest(t, store, p.Step)
}

func wantLatest(t *testing.T, store objstore.Store, step uint64) {
	t.Helper()
	m, state, err := Load(t.Context(), store, id)
	if err != nil || m.Step != step || sumOf(state) != m.Digest {
		t.Fatalf("the newest checkpoint is of step %d (%v), want %d with the state that was saved", m.Step, err, step)
	}
}

func term(n uint64) Head { return Head{Incarnation: 1, Term: n} }

func TestNothingSavedIsToldFromDamage(t *testing.T) {
	store := &objstore.Mem{}
	if _, err := Latest(t.Context(), store, id); !errors.Is(err, objstore.ErrNotExist) {
		t.Errorf("an empty store: %v, want ErrNotExist", err)
	}
	if _, err := Claim(t.Context(), store, id, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := Latest(t.Context(), store, id); !errors.Is(err, objstore.ErrNotExist) {
		t.Errorf("a claimed store: %v, want ErrNotExist", err)
	}
	p := planAfter(2, 0, 10)
	mustSave(t, store, term(1), p)
	h, _, err := ReadHead(t.Context(), store, id)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Remove(t.Context(), chunkKey(id, 0, 10, p.Chunks[1].SHA256)); err != nil {
		t.Fatal(err)
	}
	var missing *MissingError
	if _, _, err := Load(t.Context(), store, id); !errors.As(err, &missing) || !slices.Equal(missing.Chunks, []int{0, 1}) || errors.Is(err, objstore.ErrNotExist) {
		t.Errorf("without its first two chunks, which are equal: %v, want a MissingError that is no ErrNotExist", err)
	}
	if err := store.Remove(t.Context(), h.Manifest); err != nil {
		t.Fatal(err)
	}
	if _, err := Latest(t.Context(), store, id); err == nil || errors.Is(err, objstore.ErrNotExist) || !strings.Contains(err.Error(), h.Manifest) {
		t.Errorf("without the manifest: %v, want an error that names it and is no ErrNotExist", err)
	}
}

// Cut the power at every half of every write: the law holds, and the same save
// succeeds afterwards.
func TestPowerLostAnywhereInASave(t *testing.T) {
	onEveryStore(t, func(t *testing.T, empty func() objstore.Store) {
		before, after := planOf(0, 100), planAfter(1, 0, 200)
		for writes := 0; ; writes++ {
			store := empty()
			mustSave(t, store, term(1), before)
			_, err := save(t.Context(), storetest.LosePowerAfter(writes, store), term(1), after)
			report, cerr := Check(t.Context(), store, id)
			if cerr != nil {
				t.Fatalf("power lost after %d half writes: %v", writes, cerr)
			}
			if s := report.Head.Step; s != 100 && s != 200 || (err == nil && s != 200) {
				t.Fatalf("power lost after %d half writes (%v): HEAD is at step %d", writes, err, s)
			}
			wantLatest(t, store, report.Head.Step)
			mustSave(t, store, term(2), after)
			if err == nil {
				return // the save outlasted the power: every crash point has been tried
			}
			if !errors.Is(err, storetest.ErrPower) {
				t.Fatalf("power lost after %d half writes: %v", writes, err)
			}
		}
	})
}

func TestPowerLostAnywhereInAPrune(t *testing.T) {
	onEveryStore(t, func(t *testing.T, empty func() objstore.Store) {
		for writes := 0; ; writes++ {
			store := empty()
			for step := uint64(10); step <= 40; step += 10 {
				mustSave(t, store, term(1), planOf(0, step))
			}
			if _, err := PutChunk(t.Context(), store, id, 0, 15, []byte("never became whole")); err != nil {
				t.Fatal(err)
			}
			var named []string
			log := func(names []string) error { named = names; return nil }
			err := Prune(t.Context(), storetest.LosePowerAfter(writes, store), id, Keep{Last: 2}, log)
			if want := []string{Name(0, 10), Name(0, 15), Name(0, 20)}; !slices.Equal(named, want) {
				t.Fatalf("named %q, want %q", named, want)
			}
			if _, cerr := Check(t.Context(), store, id); cerr != nil {
				t.Fatalf("power lost after %d half writes: %v", writes, cerr)
			}
			if err := Prune(t.Context(), store, id, Keep{Last: 2}, log); err != nil {
				t.Fatal(err)
			}
			report, cerr := Check(t.Context(), store, id)
			if cerr != nil || len(report.Checkpoints) != 2 || len(report.Orphans) > 0 {
				t.Fatalf("after a second prune: %+v (%v), want the checkpoints of steps 30 and 40", report, cerr)
			}
			wantLatest(t, store, 40)
			if err == nil {
				return
			}
		}
	})
}

func TestWhatIsNotLoggedIsNotRemoved(t *testing.T) {
	store := &objstore.Mem{}
	mustSave(t, store, term(1), planOf(0, 10))
	mustSave(t, store, term(1), planOf(0, 20))
	no := errors.New("no leader")
	if err := Prune(t.Context(), store, id, Keep{Last: 1}, func([]string) error { return no }); !errors.Is(err, no) {
		t.Errorf("prune: %v, want %v", err, no)
	}
	if report, err := Check(t.Context(), store, id); err != nil || len(report.Checkpoints) != 2 {
		t.Errorf("%+v (%v), want both checkpoints", report, err)
	}
}

func TestWhatPruneKeeps(t *testing.T) {
	whole := func(generation, step uint64) *group {
		return &group{generation, step, []string{manifestKey(id, generation, step, sumOf(nil))}, nil}
	}
	groups := []*group{whole(0, 10), whole(0, 20), {generation: 0, step: 25}, whole(0, 30), whole(0, 40), whole(0, 50), {generation: 0, step: 60}}
	at := func(generation, step uint64, g *group) Head {
		return Head{Generation: generation, Step: step, Manifest: g.manifests[0]}
	}
	for _, tt := range []struct {
		name string
		keep Keep
		head Head
		want []string
	}{
		{"all", Keep{}, at(0, 50, groups[5]), []string{"0-25"}},
		{"the last", Keep{Last: 1}, at(0, 50, groups[5]), []string{"0-10", "0-20", "0-25", "0-30", "0-40"}},
		{"three", Keep{Last: 3}, at(0, 50, groups[5]), []string{"0-10", "0-20", "0-25"}},
		{"every 20th", Keep{Last: 1, Every: 20}, at(0, 50, groups[5]), []string{"0-10", "0-25", "0-30"}},
		{"pinned", Keep{Last: 1, Pinned: []string{Name(0, 10)}}, at(0, 50, groups[5]), []string{"0-20", "0-25", "0-30", "0-40"}},
		{"nothing above HEAD", Keep{Last: 1}, at(0, 30, groups[3]), []string{"0-10", "0-20", "0-25"}},
		{"not what HEAD was restored to", Keep{Last: 1}, at(1, 20, groups[1]), []string{"0-10", "0-25", "0-30", "0-40", "0-60"}},
	} {
		var got []string
		for _, g := range tt.keep.surplus(groups, tt.head) {
			got = append(got, fmt.Sprintf("%d-%d", g.generation, g.step))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: prune takes %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestWhoMayMoveHead(t *testing.T) {
	for _, tt := range []struct {
		name          string
		now, by       Head
		generation    uint64
		nowStep, step uint64
		want          error
	}{
		{"next step", term(3), term(3), 0, 10, 20, nil},
		{"next term", term(3), term(4), 0, 10, 20, nil},
		{"older term", term(3), term(2), 0, 10, 20, ErrDeposed},
		{"older incarnation", Head{Incarnation: 2, Term: 1}, Head{Incarnation: 1, Term: 9}, 0, 10, 20, ErrDeposed},
		{"newer incarnation starts its terms again", Head{Incarnation: 1, Term: 9}, Head{Incarnation: 2, Term: 1}, 0, 10, 20, nil},
		{"a step falls", term(3), term(4), 0, 20, 10, ErrVoid},
	} {
		store := &objstore.Mem{}
		mustSave(t, store, tt.now, planOf(0, tt.nowStep))
		h, err := save(t.Context(), store, tt.by, planOf(tt.generation, tt.step))
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
		if tt.want == nil && (h.Step != tt.step || h.Term != tt.by.Term) {
			t.Errorf("%s: HEAD is at %v", tt.name, h)
		}
		if tt.want != nil {
			wantLatest(t, store, tt.nowStep)
		}
	}
}

func TestARestoreMakesOlderEntriesVoid(t *testing.T) {
	onEveryStore(t, func(t *testing.T, empty func() objstore.Store) {
		store := empty()
		mustSave(t, store, term(1), planOf(0, 10))
		old, err := Latest(t.Context(), store, id)
		if err != nil {
			t.Fatal(err)
		}
		mustSave(t, store, term(1), planOf(0, 20))
		by := Head{Incarnation: 1, Term: 1, Generation: 1}
		for range 2 { // the second finds it done
			if _, err := Restore(t.Context(), store, by, old); err != nil {
				t.Fatal(err)
			}
		}
		wantLatest(t, store, 10)
		if _, err := save(t.Context(), store, term(1), planOf(0, 30)); !errors.Is(err, ErrVoid) {
			t.Errorf("a checkpoint of the generation before: %v, want ErrVoid", err)
		}
		if _, err := Restore(t.Context(), store, term(1), old); !errors.Is(err, ErrVoid) {
			t.Errorf("a restore that is not logged: %v, want ErrVoid", err)
		}
		mustSave(t, store, term(1), planOf(1, 20))
	})
}

func TestTheSamePlanTwiceIsOneCheckpoint(t *testing.T) {
	onEveryStore(t, func(t *testing.T, empty func() objstore.Store) {
		store := empty()
		p := planOf(0, 10)
		mustSave(t, store, term(1), p)
		mustSave(t, store, term(2), p)
		again := p
		again.Incarnation = 7 // a ledger that was rebuilt: another manifest, the same state
		mustSave(t, store, Head{Incarnation: 7, Term: 1}, again)
		again.Digest = sumOf([]byte("other bits"))
		if _, err := save(t.Context(), store, Head{Incarnation: 7, Term: 1}, again); err == nil || !strings.Contains(err.Error(), "two digests") {
			t.Errorf("another state of the same step: %v, want an alarm", err)
		}
	})
}

func TestNoManifestBeforeItsChunks(t *testing.T) {
	store, p := &objstore.Mem{}, planAfter(2, 0, 10)
	if _, err := PutChunk(t.Context(), store, id, 0, 10, p.state[2*ChunkSize:]); err != nil {
		t.Fatal(err)
	}
	var missing *MissingError
	if _, err := Commit(t.Context(), store, term(1), p.Manifest); !errors.As(err, &missing) || !slices.Equal(missing.Chunks, []int{0, 1}) {
		t.Errorf("commit: %v, want that chunks 0 and 1 are missing", err)
	}
	if report, err := Check(t.Context(), store, id); err != nil || len(report.Checkpoints) > 0 || len(report.Orphans) != 1 {
		t.Errorf("%+v (%v), want one orphan and no manifest", report, err)
	}
}

func TestClaimsRaceForIncarnations(t *testing.T) {
	onEveryStore(t, func(t *testing.T, empty func() objstore.Store) {
		store := empty()
		mustSave(t, store, term(9), planOf(0, 10))
		const clusters = 8
		heads := make([]Head, clusters)
		var wg sync.WaitGroup
		for i := range clusters {
			wg.Go(func() {
				var err error
				if heads[i], err = Claim(t.Context(), store, id, 1); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		slices.SortFunc(heads, func(a, b Head) int { return int(a.Incarnation) - int(b.Incarnation) })
		for i, h := range heads {
			if h.Incarnation != uint64(i)+2 || h.Step != 10 {
				t.Errorf("claim %d: %v, want incarnation %d at step 10", i, h, i+2)
			}
		}
		if _, err := save(t.Context(), store, term(10), planOf(0, 20)); !errors.Is(err, ErrDeposed) {
			t.Errorf("the ledger before the claims: %v, want ErrDeposed", err)
		}
	})
}

// Leaders of many terms commit at once: HEAD only ever goes forward.
func TestRacingLeaders(t *testing.T) {
	onEveryStore(t, func(t *testing.T, empty func() objstore.Store) {
		store := &monotone{Store: empty()}
		var wg sync.WaitGroup
		for n := range uint64(8) {
			wg.Go(func() {
				if _, err := save(t.Context(), store, term(1+n), planOf(0, 10*(1+n))); err != nil && !errors.Is(err, ErrDeposed) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		wantLatest(t, store, 80)
		if store.back != "" {
			t.Error(store.back)
		}
		if _, err := Check(t.Context(), store, id); err != nil {
			t.Error(err)
		}
	})
}

// monotone watches what HEAD is swapped to.
type monotone struct {
	objstore.Store
	mu   sync.Mutex // guards the fields below; held over swaps, so that they have an order
	last Head
	back string
}

func (m *monotone) Swap(ctx context.Context, key, old string, value []byte) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	tag, err := m.Store.Swap(ctx, key, old, value)
	if err != nil {
		return "", err
	}
	h, err := parseHead(value)
	if err != nil || h.Term < m.last.Term || h.Step < m.last.Step {
		m.back = fmt.Sprintf("HEAD went from %v to %v (%v)", m.last, h, err)
	}
	m.last = h
	return tag, nil
}

// damaged serves one object with a byte changed.
type damaged struct {
	objstore.Store
	key string
}

func (d damaged) Get(ctx context.Context, key string, off, n int64) (r io.ReadCloser, info objstore.Info, err error) {
	b, _, err := objstore.ReadAll(ctx, d.Store, key)
	if err != nil {
		return nil, info, err
	}
	if key == d.key {
		b = slices.Clone(b)
		b[len(b)/2] ^= 1
	}
	copied := &objstore.Mem{}
	if err := copied.PutIfAbsent(ctx, key, bytes.NewReader(b), int64(len(b))); err != nil {
		return nil, info, err
	}
	return copied.Get(ctx, key, off, n)
}

func TestDamageIsNamed(t *testing.T) {
	store, p := &objstore.Mem{}, planAfter(2, 0, 10)
	mustSave(t, store, term(1), p)
	h, _, err := ReadHead(t.Context(), store, id)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{h.Manifest, chunkKey(id, 0, 10, p.Chunks[2].SHA256)} {
		broken := damaged{store, key}
		_, _, lerr := Load(t.Context(), broken, id)
		_, cerr := Check(t.Context(), broken, id)
		for what, err := range map[string]error{"load": lerr, "check": cerr} {
			if err == nil || !strings.Contains(err.Error(), key) || !strings.Contains(err.Error(), "damaged") {
				t.Errorf("%s with %s damaged: %v, want an error that names it", what, key, err)
			}
		}
	}
}

func TestManifestsThatCannotBe(t *testing.T) {
	good := planAfter(2, 0, 10).Manifest
	good.Version, good.StateVersion = Version, stateVersion
	for _, tt := range []struct {
		name   string
		change func(*Manifest)
		want   string
	}{
		{"version", func(m *Manifest) { m.Version = 2 }, "versions 2"},
		{"no job", func(m *Manifest) { m.Job = "" }, "no job"},
		{"digest", func(m *Manifest) { m.Digest = "abc" }, `digest "abc"`},
		{"size", func(m *Manifest) { m.Size = 1 << 62 }, "3 chunks do not make up a state of 4611686018427387904 bytes"},
		{"negative size", func(m *Manifest) { m.Size = -1 }, "-1 bytes"},
		{"chunks swapped", func(m *Manifest) {
			m.Chunks = slices.Clone(m.Chunks)
			m.Chunks[0], m.Chunks[2] = m.Chunks[2], m.Chunks[0]
		}, "chunk 0"},
		{"path in a hash", func(m *Manifest) { m.Chunks = slices.Clone(m.Chunks); m.Chunks[0].SHA256 = "../../x" }, "chunk 0"},
		{"tensors", func(m *Manifest) { m.Params = []Param{{"w", []int{3}}} }, "3 elements"},
		{"huge tensor", func(m *Manifest) { m.Params = []Param{{"w", []int{1 << 40, 1 << 40}}} }, "not possible"},
	} {
		m := good
		tt.change(&m)
		if err := m.Validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
}

func TestHeadsThatCannotBe(t *testing.T) {
	for _, text := range []string{"", "x", "{}", `{"version":2}`, `{"version":1,"manifest":"j1/0-1/x"}`, `{"version":1,"manifest":"../manifest-00.json"}`} {
		store := &objstore.Mem{}
		if _, err := store.Swap(t.Context(), HeadKey(id), "", []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := ReadHead(t.Context(), store, id); err == nil || !strings.Contains(err.Error(), "j1/HEAD") {
			t.Errorf("HEAD %q: %v, want an error that names it", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	m := planOf(0, 10).Manifest
	m.Version, m.StateVersion = Version, stateVersion
	b, key, err := m.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte(`{"version":1,"incarnation":1,"term":2,"generation":0,"step":10,"manifest":"` + key + `","nonce":"x"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := parseHead(b); err == nil && h.Version != Version {
			t.Errorf("%+v was taken", h)
		}
		if m, err := parseManifest(manifestKey(id, 0, 10, sumOf(b)), b); err == nil {
			if _, _, err := m.encode(); err != nil {
				t.Errorf("what was read cannot be written: %v", err)
			}
		}
	})
}
