package basemodel

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"carillon/checkpoint"
	"carillon/objstore"
)

// aModel writes files and returns their folder and names.
func aModel(t *testing.T) (dir string, names []string) {
	t.Helper()
	dir = t.TempDir()
	weights := make([]byte, pieceSize+12345)
	for i := 0; i < len(weights); i += 997 {
		weights[i] = byte(i * 31)
	}
	for name, data := range map[string][]byte{"config.json": []byte("{}"), "model.safetensors": weights, "empty.txt": nil} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir, []string{"config.json", "empty.txt", "model.safetensors"}
}

func nothing(int64, int64) {}

func TestAModelGoesThroughTheStore(t *testing.T) {
	dir, names := aModel(t)
	store, cache := &objstore.Mem{}, t.TempDir()
	var last, total int64
	hash, err := Put(t.Context(), store, dir, names, func(d, n int64) { last, total = d, n })
	if err != nil || last != total || total != pieceSize+12345+2 {
		t.Fatalf("%v; progress %d of %d", err, last, total)
	}
	if again, err := Put(t.Context(), store, dir, names, nothing); err != nil || again != hash {
		t.Errorf("once more: %s, %v; want %s", again, err, hash)
	}
	var wg sync.WaitGroup
	for range 3 { // several processes of a machine
		wg.Go(func() {
			got, err := Get(context.Background(), store, hash, cache, nothing)
			if err != nil {
				t.Error(err)
				return
			}
			for _, name := range names {
				want, _ := os.ReadFile(filepath.Join(dir, name))
				have, err := os.ReadFile(filepath.Join(got, name))
				if err != nil || !bytes.Equal(want, have) {
					t.Errorf("%s: %d bytes, %v; want %d", name, len(have), err, len(want))
				}
			}
		})
	}
	wg.Wait()
}

// What is damaged in the store is never used.
func TestADamagedModelIsRefused(t *testing.T) {
	dir, names := aModel(t)
	for _, tt := range []struct{ prefix, want string }{{"models/pieces/", "damaged"}, {"models/", "damaged"}} {
		store, cache := &objstore.Mem{}, t.TempDir()
		hash, err := Put(t.Context(), store, dir, names, nothing)
		if err != nil {
			t.Fatal(err)
		}
		spoil(t, store, tt.prefix)
		if got, err := Get(t.Context(), store, hash, cache, nothing); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %s, %v; want %q", tt.prefix, got, err, tt.want)
		}
		if _, err := os.Stat(filepath.Join(cache, hash)); err == nil {
			t.Errorf("%s: a folder is there all the same", tt.prefix)
		}
	}
	if _, err := Get(t.Context(), &objstore.Mem{}, "../../etc", t.TempDir(), nothing); err == nil {
		t.Error("a hash that is none is taken")
	}
}

// spoil replaces the first object under prefix by another of its size.
func spoil(t *testing.T, store objstore.Store, prefix string) {
	t.Helper()
	var victim string
	err := store.List(t.Context(), prefix, func(key string) error {
		if victim == "" && (prefix != "models/" || strings.HasSuffix(key, ".json")) {
			victim = key
		}
		return nil
	})
	data, _, rerr := objstore.ReadAll(t.Context(), store, victim)
	if err != nil || rerr != nil {
		t.Fatal(err, rerr)
	}
	data = append(bytes.Clone(data[:len(data)-1]), data[len(data)-1]^1)
	if err := store.Remove(t.Context(), victim); err != nil {
		t.Fatal(err)
	}
	if err := store.PutIfAbsent(t.Context(), victim, bytes.NewReader(data), int64(len(data))); err != nil {
		t.Fatal(err)
	}
}

func TestNamesThatLeaveTheFolder(t *testing.T) {
	store := &objstore.Mem{}
	text := []byte(`{"version":1,"files":[{"name":"../x","pieces":[]}]}`)
	hash := hashOf(text)
	if err := put(t.Context(), store, checkpoint.ModelKey(hash), text); err != nil {
		t.Fatal(err)
	}
	if _, err := Get(t.Context(), store, hash, t.TempDir(), nothing); err == nil || !strings.Contains(err.Error(), "plain names") {
		t.Errorf("%v, want a refusal", err)
	}
}
