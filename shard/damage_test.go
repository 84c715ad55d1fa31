package shard

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// bytesOf returns a shard as bytes.
func bytesOf(t testing.TB, s sample) []byte {
	t.Helper()
	return slices.Clone(buildAs(t, s.info, s.examples).data)
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
	for _, tt := range samples() {
		good := bytesOf(t, tt)
		for n := range good {
			if _, err := Parse(good[:n]); err == nil {
				t.Fatalf("%v: the first %d of %d bytes pass for a shard", tt.info.Task, n, len(good))
			}
			bad := slices.Clone(good)
			bad[n] ^= 1
			_, err := Parse(bad)
			if err == nil {
				t.Fatalf("%v: a shard with byte %d changed passes", tt.info.Task, n)
			}
			if n >= headerSize && !strings.Contains(err.Error(), "damaged") {
				t.Fatalf("%v: byte %d changed: err = %v; want one that says the file is damaged", tt.info.Task, n, err)
			}
		}
		if _, err := Parse(append(good, 0)); err == nil || !strings.Contains(err.Error(), "its header promises") {
			t.Errorf("%v: one byte more: err = %v", tt.info.Task, err)
		}
	}
}

func TestADamagedFileIsNamed(t *testing.T) {
	good := bytesOf(t, samples()[0])
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

// Damage says where it was seen, where it can be seen.
func TestDamageNamesTheExample(t *testing.T) {
	data := bytesOf(t, samples()[0])
	data[wordAt(data, 0)+2] = 1
	if _, err := Parse(data); err == nil || !strings.Contains(err.Error(), "damaged (example 0: token 0 is 65536, outside the vocabulary of 1000)") {
		t.Errorf("err = %v; want the example and the token", err)
	}
}

// wordAt returns the byte at which a shard's word i lies.
func wordAt(data []byte, i int) int {
	n := binary.LittleEndian.Uint64(data[40:]) + binary.LittleEndian.Uint64(data[48:])
	return headerSize + entrySize*int(n) + 4*i
}

// A shard with a right hash and wrong numbers: each region of the file by name.
func TestAShardThatLiesIsRefused(t *testing.T) {
	set := samples()
	texts, classes, numbers, targets := set[0], set[1], set[2], set[3]
	const index = headerSize
	for _, tt := range []struct {
		name string
		set  sample
		at   func(data []byte) int
		to   uint32
		want string
	}{
		{"magic", texts, at(0), 'X', "not a shard"},
		{"version", texts, at(8), 9, "format version 9; this program reads version 2"},
		{"version 1", texts, at(8), 1, "format version 1; this program reads version 2"},
		{"task", texts, at(12), 7, "task 7, want 0 to 4"},
		{"vocabulary", texts, at(16), 0, "vocabulary of 0"},
		{"vocabulary that is too small", texts, at(16), 5, "example 4: token 0 is 5, outside the vocabulary of 5"},
		{"classes", texts, at(20), 2, "2 classes for causal_lm"},
		{"classes that are too few", classes, at(20), 3, "class 3, want 0 to 2"},
		{"blank", texts, at(24), 1000, "blank 1000"},
		{"decoder start", targets, at(28), 1000, "decoder start 1000"},
		{"longest example", texts, at(32), 8, "the header says longest example 8, the examples say 7"},
		{"longest target", targets, at(36), 3, "the header says longest target 3, the examples say 4"},
		{"longest target of texts", texts, at(36), 3, "the header says longest target 3, the examples say 0"},
		{"count", texts, at(40), 77, "its header promises"},
		{"count beyond bounds", texts, at(44), math.MaxUint32, "more than the 1099511627776 that a shard may hold"},
		{"no training example", texts, at(40), 0, "its header promises"},
		{"held-out count", texts, at(48), 3, "its header promises"},
		{"tokens", texts, at(56), 1, "the header says tokens 1, the examples say 82"},
		{"words", texts, at(64), 1, "its header promises"},
		{"end of an example", texts, at(index), math.MaxUint32, "example 0: it ends at word 4294967295, want 0 to"},
		{"end before the beginning", texts, at(index + entrySize), 0, "example 1: it ends at word 0, want 2 to"},
		{"no tokens", texts, at(index + 8), 0, "example 0: it has no tokens"},
		{"more tokens than words", texts, at(index + 8), 3, "example 0: 3 tokens and 1 labels in 2 words"},
		{"labels", texts, at(index + entrySize + 12), 1, "example 1: part 2 begins at token 0, want 1 to 1"},
		{"end before all words", classes, func(data []byte) int { return wordAt(data, 0) - entrySize }, 107, "the header says words 108, the examples say 107"},
		{"token", texts, word(0), 1000, "example 0: token 0 is 1000"},
		{"label", texts, word(1), 1000, "example 0: label 0 is 1000, want -100 or an id"},
		{"start", texts, func(data []byte) int { return wordAt(data, wordsOf(texts, 17)-1) }, 2, "part 3 begins at token 2, want 3 to 4"},
		{"first label of a part", texts, func(data []byte) int { return wordAt(data, wordsOf(texts, 17)-2-3) }, 7, "label 2 is 7 where part 2 begins"},
		{"class", classes, word(1), 5, "class 5, want 0 to 4"},
		{"class out of order", classes, word(1), 4, "example 1: class 1 after class 4; classes must ascend"},
		{"value", numbers, word(1), math.Float32bits(float32(math.Inf(1))), "value +Inf, want a finite number"},
		{"target", targets, word(1), 1000, "target's token 0 is 1000"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data := bytesOf(t, tt.set)
			binary.LittleEndian.PutUint32(data[tt.at(data):], tt.to)
			if _, err := Parse(signed(data)); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("err = %v; want %q", err, tt.want)
			}
		})
	}
}

func at(i int) func(data []byte) int   { return func([]byte) int { return i } }
func word(i int) func(data []byte) int { return func(data []byte) int { return wordAt(data, i) } }

// wordsOf counts the words of a sample's first n training examples.
func wordsOf(s sample, n int) (words int) {
	for _, x := range s.examples {
		if n > 0 && !x.HeldOut {
			words, n = words+len(x.Tokens)+len(x.Labels)+len(x.Starts), n-1
		}
	}
	return words
}

func TestAShardThatIsHeldOutWholeIsRefused(t *testing.T) {
	data := bytesOf(t, samples()[2])
	n := binary.LittleEndian.Uint64(data[40:]) + binary.LittleEndian.Uint64(data[48:])
	binary.LittleEndian.PutUint64(data[40:], 0)
	binary.LittleEndian.PutUint64(data[48:], n)
	if _, err := Parse(signed(data)); !errors.Is(err, errNoExamples) {
		t.Errorf("err = %v; want %v", err, errNoExamples)
	}
}

func TestAShardOfVersion1IsRefusedByName(t *testing.T) {
	old := append([]byte("CARSHARD\x01\x00\x00\x00"), make([]byte, 100)...)
	path := filepath.Join(t.TempDir(), "old.shard")
	os.WriteFile(path, signed(old), 0o644)
	_, err := Open(path)
	if want := path + ": format version 1; this program reads version 2: make the shard again from its data"; err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("err = %v; want %q", err, want)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range samples() {
		good := bytesOf(f, s)
		f.Add(good)
		f.Add(good[:headerSize+hashSize])
	}
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := Parse(signed(data))
		if err != nil {
			return
		}
		readAll(t, s)
	})
}

// readAll reads all that a set gives: whatever passes can be read to the last
// word.
func readAll(t *testing.T, s *Set) {
	var b Batch
	p := Plan{Lanes: 2, MicroBatch: 3, Buckets: []int{s.MaxLen()}, TargetLen: s.MaxTarget(), Balanced: s.Info().Task == SeqCls}
	p.changes(s.Info(), 0.5)
	if err := s.Check(p); err != nil {
		t.Fatal(err)
	}
	for i := range s.Len() {
		s.Example(i)
		s.Batch(&b, p, uint64(i), i%2)
	}
	for j := range s.EvalBatches(p) {
		s.EvalBatch(&b, p, j)
	}
}
