package shard

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReceiveKeepsWhatItWasAskedFor(t *testing.T) {
	want := build(t, pairs(20))
	path := filepath.Join(t.TempDir(), "data.shard")
	os.WriteFile(path, []byte("left by an accident"), 0o644)
	s, err := Receive(path, want.Hash().String(), iotest.OneByteReader(bytes.NewReader(want.data)))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if got, _ := os.ReadFile(path); s.Hash() != want.Hash() || !bytes.Equal(got, want.data) {
		t.Errorf("hash %v, %d bytes; want %v, %d", s.Hash(), len(got), want.Hash(), len(want.data))
	}
	again, err := OpenAs(path, want.Hash().String())
	if err != nil {
		t.Fatal(err)
	}
	again.Close()
}

func TestReceiveRefusesAndLeavesNothing(t *testing.T) {
	set := build(t, pairs(20))
	other := build(t, pairs(21))
	broken := slices.Clone(set.data)
	broken[100] ^= 1
	lost := errors.New("the connection broke")
	for _, tt := range []struct {
		name, want string
		r          io.Reader
	}{
		{"damaged", "damaged", bytes.NewReader(broken)},
		{"cut short", "cut short", bytes.NewReader(set.data[:200])},
		{"empty", "empty file", bytes.NewReader(nil)},
		{"another shard", "its hash is " + other.Hash().String() + ", want " + set.Hash().String(), bytes.NewReader(other.data)},
		{"an error on the way", lost.Error(), io.MultiReader(bytes.NewReader(set.data[:50]), iotest.ErrReader(lost))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := Receive(filepath.Join(dir, "data.shard"), set.Hash().String(), tt.r); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("err = %v; want %q", err, tt.want)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("%v is left behind", left)
			}
		})
	}
}
