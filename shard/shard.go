package shard

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/edsrzf/mmap-go"

	"carillon/endian"
)

// Hash names a shard: the SHA-256 of its bytes. It is the data hash of a job.
type Hash [32]byte

// String returns the hash in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Set is an open shard. It may be used by several goroutines at once.
type Set struct {
	layout  layout
	classes []class // SeqCls: those with training examples, ascending
	data    []byte
	hash    Hash
	unmap   func() error
}

// class is where the training examples of a class stand.
type class struct {
	label       int32
	first, size int
}

// Open maps the shard at path into memory and checks it whole: version, hash,
// and every number in it. Close unmaps it.
func Open(path string) (*Set, error) { return OpenAs(path, "") }

// OpenAs is Open for a shard that must have the given hash, in hexadecimal.
func OpenAs(path, hash string) (*Set, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open shard: %w", err)
	}
	defer f.Close()
	s, err := mapped(f, hash)
	if err != nil {
		return nil, fmt.Errorf("shard %s: %w", path, err)
	}
	return s, nil
}

// mapped returns the shard that f holds, which may be closed afterwards. hash is
// its name, "" for any.
func mapped(f *os.File, hash string) (*Set, error) {
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if info.Size() == 0 { // cannot be mapped
		return nil, errors.New("empty file")
	}
	m, err := mmap.Map(f, mmap.RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("map it into memory: %w", err)
	}
	s, err := Parse(m)
	if err == nil && hash != "" && s.hash.String() != hash {
		err = fmt.Errorf("its hash is %v, want %s", s.hash, hash)
	}
	if err != nil {
		m.Unmap()
		return nil, err
	}
	s.unmap = m.Unmap
	return s, nil
}

// Parse checks the bytes of a shard and returns it as a Set, which keeps data.
func Parse(data []byte) (*Set, error) {
	s, err := check(data)
	if err != nil {
		return nil, err
	}
	s.unmap = func() error { return nil }
	return s, nil
}

// Close unmaps the file. The Set must not be used any more.
func (s *Set) Close() error { return s.unmap() }

// Hash returns the data hash.
func (s *Set) Hash() Hash { return s.hash }

// Info returns what the examples have in common.
func (s *Set) Info() Info { return s.layout.info }

// Vocab returns the size of the vocabulary that the tokens come from.
func (s *Set) Vocab() int { return s.layout.info.Vocab }

// Len returns the number of training examples.
func (s *Set) Len() int { return int(s.layout.train) }

// HeldOutLen returns the number of held-out examples.
func (s *Set) HeldOutLen() int { return int(s.layout.heldOut) }

// MaxLen returns the number of tokens of the longest example, held-out ones
// included.
func (s *Set) MaxLen() int { return s.layout.longest }

// MaxTarget returns the number of tokens of the longest target, held-out ones
// included. Seq2SeqLM only, else 0.
func (s *Set) MaxTarget() int { return s.layout.longestTarget }

// Tokens returns the number of tokens of all examples together.
func (s *Set) Tokens() int { return int(s.layout.tokens) }

// Example returns a copy of training example i, in [0, Len). They stand in the
// order in which Build got them, but for SeqCls by class first.
func (s *Set) Example(i int) Example { return s.copyOf(i, false) }

// HeldOut returns a copy of held-out example i, in [0, HeldOutLen), in the order
// in which Build got them.
func (s *Set) HeldOut(i int) Example { return s.copyOf(s.Len()+i, true) }

func (s *Set) copyOf(i int, heldOut bool) Example {
	x, _ := s.read(s.entry(i), nil)
	x.HeldOut = heldOut
	if x.Labels == nil && s.layout.info.Task == CausalLM {
		x.Labels = slices.Clone(x.Tokens)
	}
	return x
}

// read returns an example as the file has it, and its words, which it consists
// of and for which memory is used if it is large enough.
func (s *Set) read(e entry, memory []int32) (x Example, words []int32) {
	n := e.tokens + e.labels + e.starts
	words = slices.Grow(memory[:0], n)[:n]
	endian.Get(words, s.data[e.at:])
	return Example{
		Tokens: cut(words, 0, e.tokens),
		Labels: cut(words, e.tokens, e.labels),
		Starts: cut(words, e.tokens+e.labels, e.starts),
	}, words
}

// cut returns n of the words from at on; nil for none.
func cut(words []int32, at, n int) []int32 {
	if n == 0 {
		return nil
	}
	return words[at : at+n : at+n]
}
