package dir

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"carillon/objstore"
	"carillon/objstore/storetest"
)

func TestDir(t *testing.T) {
	storetest.Run(t, func(t *testing.T) objstore.Store {
		s, err := Open(filepath.Join(t.TempDir(), "new", "store"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { wantClean(t, s) })
		return s
	})
}

// wantClean checks that no call has left a temporary file.
func wantClean(t *testing.T, s *Store) {
	t.Helper()
	left, err := os.ReadDir(s.tmp())
	if err != nil || len(left) > 0 {
		t.Errorf("temporary files are left: %v (%v)", left, err)
	}
}

func TestEmptyFoldersGoWithTheirLastObject(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.PutIfAbsent(t.Context(), "j/0-10/x", strings.NewReader("x"), 1), s.Remove(t.Context(), "j/0-10/x")); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(s.root, "j")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is still there: %v", err)
	}
}

func TestOpenRemovesWhatTheKilledLeft(t *testing.T) {
	root := t.TempDir()
	s, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	old, young := filepath.Join(s.tmp(), "put-1"), filepath.Join(s.tmp(), "put-2")
	for path, age := range map[string]time.Duration{old: 2 * staleAfter, young: time.Minute} {
		then := time.Now().Add(-age)
		if err := errors.Join(os.WriteFile(path, []byte("x"), 0o600), os.Chtimes(path, then, then)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(root); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a file of two days ago is left")
	}
	if _, err := os.Stat(young); err != nil {
		t.Errorf("a file of a minute ago, which may be in use, is gone: %v", err)
	}
}

func TestOpenSaysWhyItCannot(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"": "no name", file: "not a directory", filepath.Join(file, "x"): "not a directory"} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("open %q: %v, want %q", path, err, want)
		}
	}
}

func BenchmarkPut8MiB(b *testing.B) {
	s, err := Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	data := bytes.Repeat([]byte("01234567"), 1<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if err := errors.Join(s.PutIfAbsent(b.Context(), "j/x", bytes.NewReader(data), int64(len(data))), s.Remove(b.Context(), "j/x")); err != nil {
			b.Fatal(err)
		}
	}
}
