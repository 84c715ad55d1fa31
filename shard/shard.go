package shard

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"

	"github.com/edsrzf/mmap-go"
)

// Ignore is the label of a token that is not learnt: prompts and padding. It is
// Hugging Face's number for the same.
const Ignore = -100

// Hash names a shard: the SHA-256 of its bytes. It is the data hash of a job.
type Hash [32]byte

// String returns the hash in hexadecimal.
func (h Hash) String() string { return hex.EncodeToString(h[:]) }

// Key returns the name under which a shard lies in a job's store, by its hash
// in hexadecimal. Nodes read shards from there and verify them.
func Key(hash string) string { return "shards/" + hash }

// Example is one tokenized example.
type Example struct {
	Tokens []int32 // ids, each in [0, vocab)
	// Labels are what the model should say. CausalLM: one for each token,
	// unshifted as in Hugging Face, Ignore where nothing is learnt; nil means the
	// tokens themselves (plain text). SeqCls: one, the class. Regression: one,
	// the value's math.Float32bits. Seq2SeqLM: the ids of the target.
	Labels []int32
	// Starts are where further parts begin in Tokens, ascending, without 0: the
	// examples of a pack, or the second text of a pair. nil: one part.
	Starts  []int32
	HeldOut bool // not trained on; the loss on it is the held-out loss
}

// Set is an open shard. It may be used by several goroutines at once.
type Set struct {
	layout layout
	data   []byte
	hash   Hash
	unmap  func() error
}

// Open maps the shard at path into memory and checks it whole: version, hash,
// every offset and every token. Close unmaps it.
func Open(path string) (*Set, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open shard: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, fmt.Errorf("open shard: %w", err)
	} else if info.Size() == 0 { // cannot be mapped
		return nil, fmt.Errorf("shard %s: empty file", path)
	}
	m, err := mmap.Map(f, mmap.RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("map shard %s: %w", path, err)
	}
	s, err := Parse(m)
	if err != nil {
		m.Unmap()
		return nil, fmt.Errorf("shard %s: %w", path, err)
	}
	s.unmap = m.Unmap
	return s, nil
}

// Parse checks the bytes of a shard and returns it as a Set, which keeps data.
func Parse(data []byte) (*Set, error) {
	l, hash, err := check(data)
	if err != nil {
		return nil, err
	}
	return &Set{layout: l, data: data, hash: hash, unmap: func() error { return nil }}, nil
}

// Close unmaps the file. The Set must not be used any more.
func (s *Set) Close() error { return s.unmap() }

// Hash returns the data hash.
func (s *Set) Hash() Hash { return s.hash }

// Len returns the number of training examples.
func (s *Set) Len() int { return s.layout.train }

// HeldOutLen returns the number of held-out examples.
func (s *Set) HeldOutLen() int { return s.layout.heldOut }

// MaxLen returns the number of tokens of the longest example, held-out ones
// included.
func (s *Set) MaxLen() int { return s.layout.maxLen }

// Vocab returns the size of the vocabulary that the tokens come from.
func (s *Set) Vocab() int { return s.layout.vocab }

// Tokens returns the number of tokens of all examples together.
func (s *Set) Tokens() int { return s.layout.tokens }

// Example returns a copy of training example i, in [0, Len).
func (s *Set) Example(i int) Example { return s.copyOf(i, false) }

// HeldOut returns a copy of held-out example i, in [0, HeldOutLen).
func (s *Set) HeldOut(i int) Example { return s.copyOf(s.layout.train+i, true) }

func (s *Set) copyOf(i int, heldOut bool) Example {
	e := s.entry(i)
	x := Example{Tokens: make([]int32, e.length), Labels: make([]int32, e.length), HeldOut: heldOut}
	s.fill(e, x.Tokens, x.Labels)
	return x
}

// fill copies an example's tokens and labels to the front of the two slices.
func (s *Set) fill(e entry, tokens, labels []int32) {
	copyInts(tokens[:e.length], s.data[s.layout.tokensAt+4*e.tokens:])
	if e.labels < 0 {
		copy(labels, tokens[:e.length])
		return
	}
	copyInts(labels[:e.length], s.data[s.layout.labelsAt+4*e.labels:])
}

func copyInts(dst []int32, src []byte) {
	src = src[:4*len(dst)]
	for i := range dst {
		dst[i] = int32(binary.LittleEndian.Uint32(src[4*i:]))
	}
}
