package objstore_test

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"carillon/objstore"
)

// liar is a store that keeps all promises but one.
type liar struct {
	*objstore.Mem
	put  func(m *objstore.Mem, ctx context.Context, key string, value []byte) error
	swap func(m *objstore.Mem, ctx context.Context, key, old string, value []byte) (string, error)
	get  func(m *objstore.Mem, ctx context.Context, key string, off, n int64) (io.ReadCloser, objstore.Info, error)
	list func(keys []string) []string
}

func (l liar) PutIfAbsent(ctx context.Context, key string, r io.Reader, size int64) error {
	b, err := io.ReadAll(r)
	if err != nil || l.put == nil {
		return l.Mem.PutIfAbsent(ctx, key, bytes.NewReader(b), size)
	}
	return l.put(l.Mem, ctx, key, b)
}

func (l liar) Swap(ctx context.Context, key, old string, value []byte) (string, error) {
	if l.swap == nil {
		return l.Mem.Swap(ctx, key, old, value)
	}
	return l.swap(l.Mem, ctx, key, old, value)
}

func (l liar) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, objstore.Info, error) {
	if l.get == nil {
		return l.Mem.Get(ctx, key, off, n)
	}
	return l.get(l.Mem, ctx, key, off, n)
}

func (l liar) List(ctx context.Context, prefix string, fn func(string) error) error {
	var keys []string
	err := l.Mem.List(ctx, prefix, func(key string) error { keys = append(keys, key); return nil })
	if l.list != nil {
		keys = l.list(keys)
	}
	for _, key := range keys {
		if err == nil {
			err = fn(key)
		}
	}
	return err
}

// overwrite is what servers do that ignore conditions.
func overwrite(m *objstore.Mem, ctx context.Context, key string, value []byte) error {
	if err := m.Remove(ctx, key); err != nil {
		return err
	}
	return m.PutIfAbsent(ctx, key, bytes.NewReader(value), int64(len(value)))
}

func TestProbeFindsTheLie(t *testing.T) {
	for _, tt := range []struct {
		name, broken string
		store        liar
	}{
		{"creates again", "what exists is not created again", liar{put: overwrite}},
		{"creates large objects again", "a chunk of 8 MiB is not created again", liar{put: func(m *objstore.Mem, ctx context.Context, key string, value []byte) error {
			if len(value) > 1<<20 {
				return overwrite(m, ctx, key, value)
			}
			return m.PutIfAbsent(ctx, key, bytes.NewReader(value), int64(len(value)))
		}}},
		{"says that it created, and did not", "of racing creators one wins", liar{put: func(m *objstore.Mem, ctx context.Context, key string, value []byte) error {
			err := m.PutIfAbsent(ctx, key, bytes.NewReader(value), int64(len(value)))
			if strings.HasSuffix(key, "/race") {
				return nil
			}
			return err
		}}},
		{"swaps by any tag", "a swap needs the tag", liar{swap: func(m *objstore.Mem, ctx context.Context, key, _ string, value []byte) (string, error) {
			return objstore.TagOf(value), overwrite(m, ctx, key, value)
		}}},
		{"ignores ranges", "a range is read", liar{get: func(m *objstore.Mem, ctx context.Context, key string, _, _ int64) (io.ReadCloser, objstore.Info, error) {
			return m.Get(ctx, key, 0, -1)
		}}},
		{"lists late", "what is written is listed, in order", liar{list: func(keys []string) []string { return keys[:max(0, len(keys)-1)] }}},
		{"lists in disorder", "what is written is listed, in order", liar{list: func(keys []string) []string { slices.Reverse(keys); return keys }}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.store.Mem = &objstore.Mem{}
			promises := objstore.Probe(t.Context(), tt.store)
			i := slices.IndexFunc(promises, func(p objstore.Promise) bool { return p.Name == tt.broken })
			if i < 0 || promises[i].Err == nil {
				t.Fatalf("%q is kept: %v", tt.broken, promises)
			}
			if err := objstore.Broken(promises); err == nil || !strings.Contains(err.Error(), tt.broken) {
				t.Errorf("Broken: %v", err)
			}
		})
	}
}

func TestProbeLeavesNothing(t *testing.T) {
	m := &objstore.Mem{}
	if err := objstore.Broken(objstore.Probe(t.Context(), m)); err != nil {
		t.Fatal(err)
	}
	if err := m.List(t.Context(), "", func(key string) error { t.Errorf("%s is left", key); return nil }); err != nil {
		t.Fatal(err)
	}
}
