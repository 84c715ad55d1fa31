package node

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"carillon/checkpoint"
	"carillon/objstore"
	"carillon/shard"
)

// makeShard returns a small shard as bytes, and its hash.
func makeShard(t *testing.T) ([]byte, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data.shard")
	hash, err := shard.Build(path, shard.Info{Vocab: 10, Blank: -1}, []shard.Example{{Tokens: []int32{1, 2, 3}}})
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data, hash.String()
}

// countingStore counts what is read.
type countingStore struct {
	objstore.Store
	gets int
}

func (c *countingStore) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, objstore.Info, error) {
	c.gets++
	return c.Store.Get(ctx, key, off, n)
}

// storing returns a store that holds data under the shard's name.
func storing(t *testing.T, hash string, data []byte) *countingStore {
	t.Helper()
	store := &objstore.Mem{}
	if err := store.PutIfAbsent(t.Context(), checkpoint.ShardKey(hash), bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
	return &countingStore{Store: store}
}

func TestAShardIsFetchedOnce(t *testing.T) {
	data, hash := makeShard(t)
	broken := slices.Clone(data)
	broken[len(broken)/2] ^= 1
	for _, tt := range []struct {
		name   string
		cached []byte // what lies in the cache; nil: nothing
		gets   int
	}{
		{"an empty cache", nil, 1},
		{"it is there", data, 0},
		{"damaged in the cache", broken, 1},
		{"cut short in the cache", data[:len(data)-1], 1},
		{"empty in the cache", []byte{}, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := &node{cfg: Config{Cache: filepath.Join(t.TempDir(), "cache")}, log: slog.New(slog.DiscardHandler)}
			path := filepath.Join(n.cfg.Cache, hash+".shard")
			if tt.cached != nil {
				os.MkdirAll(n.cfg.Cache, 0o755)
				os.WriteFile(path, tt.cached, 0o644)
			}
			store := storing(t, hash, data)
			for range 2 { // the second time it is there
				s, err := n.fetchShard(t.Context(), store, hash)
				if err != nil {
					t.Fatal(err)
				}
				s.Close()
			}
			if got, _ := os.ReadFile(path); store.gets != tt.gets || !bytes.Equal(got, data) {
				t.Errorf("fetched %d times, want %d; %d bytes in the cache, want %d", store.gets, tt.gets, len(got), len(data))
			}
		})
	}
}

// What is not what its name says is refused and not kept: once the store has been
// put right, the node goes on.
func TestAShardThatIsDamagedInTheStoreIsRefused(t *testing.T) {
	data, hash := makeShard(t)
	flipped := slices.Clone(data)
	flipped[len(flipped)/2] ^= 1
	for _, tt := range []struct {
		name, want string
		stored     []byte
	}{
		{"a bit flipped", "damaged", flipped},
		{"cut short", "cut short", data[:len(data)-1]},
		{"no shard at all", "not a shard", bytes.Repeat([]byte("no shard"), 100)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := &node{cfg: Config{Cache: t.TempDir()}, log: slog.New(slog.DiscardHandler)}
			_, err := n.fetchShard(t.Context(), storing(t, hash, tt.stored), hash)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), checkpoint.ShardKey(hash)) {
				t.Errorf("err = %v; want %q and the object's key", err, tt.want)
			}
			if left, _ := os.ReadDir(n.cfg.Cache); len(left) > 0 {
				t.Errorf("%v is kept in the cache", left)
			}
			s, err := n.fetchShard(t.Context(), storing(t, hash, data), hash)
			if err != nil {
				t.Fatalf("from a store that was put right: %v", err)
			}
			s.Close()
		})
	}
}
