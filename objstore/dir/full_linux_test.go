package dir

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"carillon/objstore"
	"carillon/objstore/storetest"
)

func TestAFullDiskIsSaidAndLeavesNothingHalf(t *testing.T) {
	storetest.OnSmallDisk(t, "256k", fillDisk)
}

func fillDisk(t *testing.T, dir string) {
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Swap(t.Context(), "j/HEAD", "", []byte("old")); err != nil {
		t.Fatal(err)
	}
	chunk := strings.Repeat("x", 100<<10)
	for i, key := range []string{"j/a", "j/b", "j/c"} {
		err := s.PutIfAbsent(t.Context(), key, strings.NewReader(chunk), int64(len(chunk)))
		if full := i == 2; full != (errors.Is(err, syscall.ENOSPC) && errors.Is(err, objstore.ErrFull)) || (full && !strings.Contains(err.Error(), "room on the disk of "+dir)) {
			t.Errorf("put %s: %v; want a full disk: %v", key, err, full)
		}
	}
	if _, _, err := s.Get(t.Context(), "j/c", 0, -1); !errors.Is(err, objstore.ErrNotExist) {
		t.Errorf("after the disk was full: %v, want no object", err)
	}
	wantClean(t, s)
	rest := strings.Repeat("y", 52<<10)
	if err := s.PutIfAbsent(t.Context(), "j/d", strings.NewReader(rest), int64(len(rest))); err != nil {
		t.Fatal(err)
	}
	tag := objstore.TagOf([]byte("old"))
	if _, err := s.Swap(t.Context(), "j/HEAD", tag, make([]byte, objstore.MaxSwap)); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("swap on a full disk: %v, want no space left", err)
	}
	if b, _, err := objstore.ReadAll(t.Context(), s, "j/HEAD"); err != nil || string(b) != "old" {
		t.Errorf("after a failed swap HEAD is %q (%v), want the old one", b, err)
	}
	if err := s.Remove(t.Context(), "j/a"); err != nil {
		t.Fatal(err)
	}
	if err := s.PutIfAbsent(t.Context(), "j/c", strings.NewReader(chunk), int64(len(chunk))); err != nil {
		t.Errorf("after room was made: %v", err)
	}
}
