package shard

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"carillon/objstore/storetest"
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

// texts is what causal tests are built with.
var texts = Info{Vocab: 1000, Blank: -1}

// build returns a causal set.
func build(t testing.TB, examples []Example) *Set {
	t.Helper()
	return buildAs(t, texts, examples)
}

func buildAs(t testing.TB, info Info, examples []Example) *Set {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data.shard")
	hash, err := Build(path, info, examples)
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

// bitsOf returns a regression's label.
func bitsOf(v float32) int32 { return int32(math.Float32bits(v)) }

// sample is a small set of each task, with all that its examples may have.
type sample struct {
	info     Info
	examples []Example
}

func samples() []sample {
	packs := pairs(20)
	packs[3].Labels = nil // text
	packs = append(packs, Example{Tokens: []int32{5, 6, 7, 8, 9}, Labels: []int32{Ignore, 6, Ignore, Ignore, 9}, Starts: []int32{2, 3}})
	var classes, numbers, targets, masked []Example
	for i, x := range pairs(20) {
		starts := []int32(nil)
		if len(x.Tokens) > 3 {
			starts = []int32{2}
		}
		classes = append(classes, Example{Tokens: x.Tokens, Labels: []int32{int32(i*5%3) + 1}, Starts: starts, HeldOut: x.HeldOut})
		numbers = append(numbers, Example{Tokens: x.Tokens, Labels: []int32{bitsOf(float32(i) - 1.5)}, Starts: starts, HeldOut: x.HeldOut})
		masked = append(masked, Example{Tokens: x.Tokens, Labels: x.Tokens, HeldOut: x.HeldOut})
		targets = append(targets, Example{Tokens: x.Tokens, Labels: append(slices.Repeat([]int32{int32(i)}, i%4), 1), HeldOut: x.HeldOut})
	}
	return []sample{
		{texts, packs},
		{Info{Task: SeqCls, Vocab: 1000, Classes: 5, Blank: 999}, classes}, // classes 0 and 4 are nobody's
		{Info{Task: Regression, Vocab: 1000, Blank: -1}, numbers},
		{Info{Task: Seq2SeqLM, Vocab: 1000, Blank: -1, DecoderStart: 3}, targets},
		{Info{Task: MaskedLM, Vocab: 1000, Blank: 998}, masked},
	}
}

func TestAShardGivesBackWhatWasBuilt(t *testing.T) {
	for _, tt := range samples() {
		t.Run(tt.info.Task.String(), func(t *testing.T) {
			s := buildAs(t, tt.info, tt.examples)
			if s.Info() != tt.info || s.Vocab() != 1000 || s.HeldOutLen() != 4 || s.Len() != len(tt.examples)-4 || s.MaxLen() != 7 {
				t.Fatalf("%+v: %d train, %d held out, longest %d", s.Info(), s.Len(), s.HeldOutLen(), s.MaxLen())
			}
			tokens, train, held := 0, 0, 0
			for i, want := range inOrder(tt) {
				var got Example
				if want.HeldOut {
					got, held = s.HeldOut(held), held+1
				} else {
					got, train = s.Example(train), train+1
				}
				if want.Labels == nil {
					want.Labels = want.Tokens
				}
				if !slices.Equal(got.Tokens, want.Tokens) || !slices.Equal(got.Labels, want.Labels) || !slices.Equal(got.Starts, want.Starts) || got.HeldOut != want.HeldOut {
					t.Errorf("example %d: got %+v, want %+v", i, got, want)
				}
				tokens += len(want.Tokens)
			}
			if s.Tokens() != tokens {
				t.Errorf("%d tokens, want %d", s.Tokens(), tokens)
			}
		})
	}
}

// inOrder returns a sample's examples as they came, but the training examples of
// classes by class first.
func inOrder(s sample) []Example {
	out := slices.Clone(s.examples)
	if s.info.Task == SeqCls {
		slices.SortStableFunc(out, func(a, b Example) int { return int(a.Labels[0] - b.Labels[0]) })
		held := slices.DeleteFunc(slices.Clone(s.examples), func(x Example) bool { return !x.HeldOut })
		out = append(slices.DeleteFunc(out, func(x Example) bool { return x.HeldOut }), held...)
	}
	return out
}

func TestMaxTarget(t *testing.T) {
	for _, tt := range samples() {
		want := 0
		if tt.info.Task == Seq2SeqLM {
			want = 4
		}
		if got := buildAs(t, tt.info, tt.examples).MaxTarget(); got != want {
			t.Errorf("%v: longest target %d, want %d", tt.info.Task, got, want)
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
	if c := buildAs(t, Info{Vocab: 1000, Blank: 5}, pairs(20)); a.Hash() == c.Hash() {
		t.Error("another blank has the same hash")
	}
}

func TestBuildRefuses(t *testing.T) {
	var (
		classes = Info{Task: SeqCls, Vocab: 1000, Classes: 3, Blank: -1}
		numbers = Info{Task: Regression, Vocab: 1000, Blank: -1}
		targets = Info{Task: Seq2SeqLM, Vocab: 1000, Blank: -1}
		masked  = Info{Task: MaskedLM, Vocab: 1000, Blank: 1}
	)
	ids := func(v ...int32) []int32 { return v }
	for _, tt := range []struct {
		name     string
		info     Info
		examples []Example
		want     string
	}{
		{"nothing", texts, nil, "no training example"},
		{"only held out", texts, []Example{{Tokens: ids(1), HeldOut: true}}, "no training example"},
		{"no tokens", texts, []Example{{}}, "example 0: it has no tokens"},
		{"token outside", texts, []Example{{Tokens: ids(1)}, {Tokens: ids(1, 1000)}}, "example 1: token 1 is 1000, outside the vocabulary of 1000"},
		{"negative token", texts, []Example{{Tokens: ids(-1)}}, "token 0 is -1"},
		{"labels missing", texts, []Example{{Tokens: ids(1, 2), Labels: ids(1)}}, "1 labels for 2 tokens"},
		{"labels empty", texts, []Example{{Tokens: ids(1, 2), Labels: []int32{}}}, "0 labels for 2 tokens"},
		{"label outside", texts, []Example{{Tokens: ids(1, 2), Labels: ids(Ignore, -1)}}, "label 1 is -1, want -100 or an id of the vocabulary of 1000"},
		{"part at 0", texts, []Example{{Tokens: ids(1, 2), Starts: ids(0)}}, "part 2 begins at token 0, want 1 to 1"},
		{"part at the end", texts, []Example{{Tokens: ids(1, 2), Starts: ids(2)}}, "part 2 begins at token 2, want 1 to 1"},
		{"parts that do not ascend", texts, []Example{{Tokens: ids(1, 2, 3, 4), Starts: ids(2, 2)}}, "part 3 begins at token 2, want 3 to 3"},
		{"pack without labels", texts, []Example{{Tokens: ids(1, 2), Starts: ids(1)}}, "2 parts without labels"},
		{"pack that is asked for its first token", texts, []Example{{Tokens: ids(1, 2), Labels: ids(1, Ignore), Starts: ids(1)}}, "label 0 is 1 where part 1 begins, want -100"},
		{"part that is asked for its first token", texts, []Example{{Tokens: ids(1, 2, 3), Labels: ids(Ignore, 2, 3), Starts: ids(2)}}, "label 2 is 3 where part 2 begins, want -100"},
		{"no class", classes, []Example{{Tokens: ids(1)}}, "0 labels, want one"},
		{"two classes", classes, []Example{{Tokens: ids(1, 2), Labels: ids(1, 2)}}, "2 labels, want one"},
		{"class too high", classes, []Example{{Tokens: ids(1), Labels: ids(3)}}, "class 3, want 0 to 2"},
		{"class below 0", classes, []Example{{Tokens: ids(1), Labels: ids(Ignore)}}, "class -100, want 0 to 2"},
		{"not a number", numbers, []Example{{Tokens: ids(1), Labels: ids(bitsOf(float32(math.NaN())))}}, "value NaN, want a finite number"},
		{"infinite", numbers, []Example{{Tokens: ids(1), Labels: ids(bitsOf(float32(math.Inf(-1))))}}, "value -Inf"},
		{"no value", numbers, []Example{{Tokens: ids(1)}}, "0 labels, want one"},
		{"no target", targets, []Example{{Tokens: ids(1)}}, "it has no target"},
		{"target outside", targets, []Example{{Tokens: ids(1), Labels: ids(1, 1000)}}, "target's token 1 is 1000, want -100 or an id of the vocabulary"},
		{"pack of targets", targets, []Example{{Tokens: ids(1, 2), Labels: ids(1), Starts: ids(1)}}, "2 parts; an example of seq2seq_lm has one"},
		{"hidden tokens without labels", masked, []Example{{Tokens: ids(1, 2)}}, "0 labels for 2 tokens"},
		{"labels that are others", masked, []Example{{Tokens: ids(1, 2), Labels: ids(Ignore, 3)}}, "label 1 is 3, want -100 or the token itself, 2"},
		{"nothing to hide", masked, []Example{{Tokens: ids(1, 2), Labels: ids(Ignore, Ignore)}}, "it has no token that may be asked for"},
		{"pack of hidden tokens", masked, []Example{{Tokens: ids(1, 2), Labels: ids(1, 2), Starts: ids(1)}}, "2 parts; an example of masked_lm has one"},
		{"nothing that hides", Info{Task: MaskedLM, Vocab: 10, Blank: -1}, nil, "blank -1 for masked_lm, want the id that hides a token"},
		{"no such task", Info{Task: 5, Vocab: 1000, Blank: -1}, nil, "task 5, want 0 to 4"},
		{"no vocabulary", Info{Blank: -1}, nil, "vocabulary of 0"},
		{"no classes", Info{Task: SeqCls, Vocab: 10, Blank: -1}, nil, "0 classes, want 1"},
		{"classes of texts", Info{Vocab: 10, Classes: 2, Blank: -1}, nil, "2 classes for causal_lm"},
		{"blank outside", Info{Vocab: 10, Blank: 10}, nil, "blank 10, want -1 or an id of the vocabulary of 10"},
		{"start outside", Info{Task: Seq2SeqLM, Vocab: 10, Blank: -1, DecoderStart: -1}, nil, "decoder start -1"},
		{"start of texts", Info{Vocab: 10, Blank: -1, DecoderStart: 2}, nil, "decoder start 2 for causal_lm"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "data.shard")
			_, err := Build(path, tt.info, tt.examples)
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
	if _, err := Build(filepath.Join(t.TempDir(), "no", "data.shard"), texts, pairs(5)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("err = %v; want one that says the folder does not exist", err)
	}
}

// A disk that fills up leaves nothing, and the shard that was there before.
func TestBuildOnAFullDisk(t *testing.T) {
	storetest.OnSmallDisk(t, "128k", func(t *testing.T, dir string) {
		path := filepath.Join(dir, "data.shard")
		before, err := Build(path, texts, pairs(20))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Build(path, texts, slices.Repeat(pairs(20), 200)); !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), path) {
			t.Errorf("err = %v; want one that says the disk is full, and the path", err)
		}
		if left, _ := os.ReadDir(dir); len(left) != 1 {
			t.Errorf("%v in the folder, want the old shard alone", left)
		}
		s, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if s.Hash() != before {
			t.Errorf("the old shard has hash %v, had %v", s.Hash(), before)
		}
	})
}

func TestHashIsTheFiles(t *testing.T) {
	data := bytesOf(t, samples()[0])
	sum := sha256.Sum256(data[:len(data)-hashSize])
	if !bytes.Equal(sum[:], data[len(data)-hashSize:]) {
		t.Error("the last 32 bytes are not the SHA-256 of those before")
	}
}
