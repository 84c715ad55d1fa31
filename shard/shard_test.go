package shard

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// pairs returns n examples of growing length, every fifth held out; the first
// token of each tells which it is.
func pairs(n int) []Example {
	var out []Example
	for i := range n {
		tokens := []int32{int32(i)}
		labels := []int32{Ignore}
		for k := range i % 7 {
			tokens, labels = append(tokens, int32(k)), append(labels, int32(k))
		}
		out = append(out, Example{Tokens: tokens, Labels: labels, HeldOut: i%5 == 4})
	}
	return out
}

func build(t testing.TB, examples []Example) *Set {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data.shard")
	hash, err := Build(path, Info{Vocab: 1000, Blank: -1}, examples)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if s.Hash() != hash {
		t.Fatalf("opened shard has hash %v, built %v", s.Hash(), hash)
	}
	return s
}

func TestAShardGivesBackWhatWasBuilt(t *testing.T) {
	examples := pairs(20)
	examples[3].Labels = nil // text
	s := build(t, examples)
	if s.Len() != 16 || s.HeldOutLen() != 4 || s.MaxLen() != 7 || s.Vocab() != 1000 {
		t.Fatalf("%d train, %d held out, longest %d, vocabulary %d; want 16, 4, 7, 1000", s.Len(), s.HeldOutLen(), s.MaxLen(), s.Vocab())
	}
	train, held := 0, 0
	for i, want := range examples {
		var got Example
		if want.HeldOut {
			got, held = s.HeldOut(held), held+1
		} else {
			got, train = s.Example(train), train+1
		}
		labels := want.Labels
		if labels == nil {
			labels = want.Tokens
		}
		if !slices.Equal(got.Tokens, want.Tokens) || !slices.Equal(got.Labels, labels) || got.HeldOut != want.HeldOut {
			t.Errorf("example %d: got %+v, want %+v", i, got, want)
		}
	}
}

func TestTheSameExamplesGiveTheSameHash(t *testing.T) {
	a, b := build(t, pairs(20)), build(t, pairs(20))
	if a.Hash() != b.Hash() {
		t.Errorf("hashes %v and %v", a.Hash(), b.Hash())
	}
	if c := build(t, pairs(21)); a.Hash() == c.Hash() {
		t.Error("another data set has the same hash")
	}
}

func TestBuildRefuses(t *testing.T) {
	for _, tt := range []struct {
		name     string
		examples []Example
		want     string
	}{
		{"nothing", nil, "no training example"},
		{"only held out", []Example{{Tokens: []int32{1}, HeldOut: true}}, "no training example"},
		{"no tokens", []Example{{}}, "example 0: it has no tokens"},
		{"token outside", []Example{{Tokens: []int32{1}}, {Tokens: []int32{1, 1000}}}, "example 1: token 1 is 1000, outside the vocabulary of 1000"},
		{"negative token", []Example{{Tokens: []int32{-1}}}, "token 0 is -1"},
		{"labels missing", []Example{{Tokens: []int32{1, 2}, Labels: []int32{1}}}, "1 labels for 2 tokens"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "data.shard")
			_, err := Build(path, Info{Vocab: 1000, Blank: -1}, tt.examples)
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("err = %v; want %q and the path", err, tt.want)
			}
			if left, _ := os.ReadDir(filepath.Dir(path)); len(left) > 0 {
				t.Errorf("%v is left behind", left)
			}
		})
	}
}

func TestBuildIntoAMissingFolder(t *testing.T) {
	if _, err := Build(filepath.Join(t.TempDir(), "no", "data.shard"), Info{Vocab: 1000, Blank: -1}, pairs(5)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("err = %v; want one that says the folder does not exist", err)
	}
}

// bytesOf returns a shard as bytes.
func bytesOf(t testing.TB) []byte {
	t.Helper()
	return slices.Clone(build(t, pairs(20)).data)
}

// signed puts the right hash at the end, so that what lies below it is reached.
func signed(data []byte) []byte {
	if len(data) < hashSize {
		return data
	}
	sum := sha256.Sum256(data[:len(data)-hashSize])
	return append(slices.Clone(data[:len(data)-hashSize]), sum[:]...)
}

func TestADamagedShardIsRefused(t *testing.T) {
	good := bytesOf(t)
	for n := range good {
		if _, err := Parse(good[:n]); err == nil {
			t.Fatalf("the first %d of %d bytes pass for a shard", n, len(good))
		}
		bad := slices.Clone(good)
		bad[n] ^= 1
		if _, err := Parse(bad); err == nil {
			t.Fatalf("a shard with byte %d changed passes", n)
		}
	}
	path := filepath.Join(t.TempDir(), "cut.shard")
	for _, n := range []int{0, 100, len(good) - 1} {
		os.WriteFile(path, good[:n], 0o644)
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("cut after %d bytes: err = %v; want one that names the file", n, err)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such file: err = %v", err)
	}
}

func TestAShardThatLiesIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		at   int
		to   byte
		want string
	}{
		{"magic", 0, 'X', "not a shard"},
		{"version", 8, 9, "format version 9, this program reads 1"},
		{"count beyond bounds", 20 + 7, 0xFF, "more than the"},
		{"count", 20, 77, "its header promises"},
		{"first token", headerSize + 1, 0xFF, "the shard has"},
		{"first label", headerSize + 4 + 1, 0xFF, "labels"},
		{"length 0", headerSize + 8, 0, "length 0, want 1 to 7"},
		{"token", headerSize + 20*entrySize + 2, 1, "outside the vocabulary"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := bytesOf(t)
			data[tt.at] = tt.to
			if _, err := Parse(signed(data)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("err = %v; want %q", err, tt.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	good := bytesOf(f)
	f.Add(good)
	f.Add(good[:headerSize+hashSize])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse(signed(data))
		if err != nil {
			return
		}
		// Whatever passes can be read to the last token.
		var b Batch
		p := Plan{Lanes: 2, MicroBatch: 3, Buckets: []int{s.MaxLen()}}
		if s.Len() == 0 || s.MaxLen() > 1<<20 || s.Check(p) != nil {
			return
		}
		s.Batch(&b, p, 1, 1)
		for j := range s.EvalBatches(p) {
			s.EvalBatch(&b, p, j)
		}
	})
}

func TestHashIsTheFiles(t *testing.T) {
	data := bytesOf(t)
	sum := sha256.Sum256(data[:len(data)-hashSize])
	if !bytes.Equal(sum[:], data[len(data)-hashSize:]) {
		t.Error("the last 32 bytes are not the SHA-256 of those before")
	}
}
