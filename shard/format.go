package shard

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
)

// A shard file, all numbers little-endian:
//
//	header   64 bytes: magic, version, vocabulary, longest example, and counts
//	index    16 bytes an example: first token, first label, length
//	tokens   4 bytes each
//	labels   4 bytes each, of the examples whose labels are not their tokens
//	hash     SHA-256 of everything before
const (
	magic      = "CARSHARD"
	version    = 1
	headerSize = 64
	entrySize  = 16
	hashSize   = sha256.Size
	noLabels   = 1<<32 - 1 // in the index: the labels are the tokens
)

// maxItems bounds every count of a shard, so that sizes computed from a header
// that lies cannot overflow, and offsets fit the index.
const maxItems = noLabels - 1

// layout is what a header says, and where the parts lie.
type layout struct {
	vocab, maxLen          int
	train, heldOut         int
	tokens, labels         int
	tokensAt, labelsAt, at int // at: of the hash
}

// entry is one row of the index, in numbers of tokens. labels is -1 for none.
type entry struct{ tokens, labels, length int }

func (l *layout) place() {
	l.tokensAt = headerSize + entrySize*(l.train+l.heldOut)
	l.labelsAt = l.tokensAt + 4*l.tokens
	l.at = l.labelsAt + 4*l.labels
}

func (l *layout) header() []byte {
	b := append(make([]byte, 0, headerSize), magic...)
	b = binary.LittleEndian.AppendUint32(b, version)
	for _, v := range []int{l.vocab, l.maxLen} {
		b = binary.LittleEndian.AppendUint32(b, uint32(v))
	}
	for _, v := range []int{l.train, l.heldOut, l.tokens, l.labels} {
		b = binary.LittleEndian.AppendUint64(b, uint64(v))
	}
	return b[:headerSize]
}

func parseHeader(b []byte) (layout, error) {
	if len(b) < headerSize+hashSize {
		return layout{}, fmt.Errorf("%d bytes, too short for a shard", len(b))
	}
	if string(b[:8]) != magic {
		return layout{}, fmt.Errorf("starts with %q, not with %q: not a shard", b[:8], magic)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != version {
		return layout{}, fmt.Errorf("format version %d, this program reads %d", v, version)
	}
	l := layout{vocab: int(binary.LittleEndian.Uint32(b[12:])), maxLen: int(binary.LittleEndian.Uint32(b[16:]))}
	for i, v := range []*int{&l.train, &l.heldOut, &l.tokens, &l.labels} {
		n := binary.LittleEndian.Uint64(b[20+8*i:])
		if n > maxItems {
			return layout{}, fmt.Errorf("header counts %d items, more than the %d that a shard may hold", n, uint64(maxItems))
		}
		*v = int(n)
	}
	l.place()
	return l, nil
}

// check reads a shard's bytes and vouches for all that Set's methods rely on.
func check(data []byte) (layout, Hash, error) {
	l, err := parseHeader(data)
	if err != nil {
		return l, Hash{}, err
	}
	if want := l.at + hashSize; len(data) != want {
		return l, Hash{}, fmt.Errorf("%d bytes where its header promises %d: cut short or damaged", len(data), want)
	}
	hash := Hash(sha256.Sum256(data[:l.at]))
	if !bytes.Equal(hash[:], data[l.at:]) {
		return l, Hash{}, fmt.Errorf("content hash %v differs from the stored %x: damaged", hash, data[l.at:])
	}
	s := Set{layout: l, data: data}
	for i := range l.train + l.heldOut {
		if err := s.checkEntry(i); err != nil {
			return l, Hash{}, fmt.Errorf("example %d: %w", i, err)
		}
	}
	return l, hash, s.checkTokens()
}

func (s *Set) checkEntry(i int) error {
	e, l := s.entry(i), s.layout
	switch {
	case e.length == 0 || e.length > l.maxLen:
		return fmt.Errorf("length %d, want 1 to %d", e.length, l.maxLen)
	case e.tokens+e.length > l.tokens:
		return fmt.Errorf("tokens %d to %d, the shard has %d", e.tokens, e.tokens+e.length, l.tokens)
	case e.labels >= 0 && e.labels+e.length > l.labels:
		return fmt.Errorf("labels %d to %d, the shard has %d", e.labels, e.labels+e.length, l.labels)
	}
	return nil
}

func (s *Set) checkTokens() error {
	b := s.data[s.layout.tokensAt:s.layout.labelsAt]
	for i := 0; i < len(b); i += 4 {
		if t := binary.LittleEndian.Uint32(b[i:]); t >= uint32(s.layout.vocab) {
			return fmt.Errorf("token %d is %d, outside the vocabulary of %d", i/4, t, s.layout.vocab)
		}
	}
	return nil
}

// entry returns row i of the index: training examples first, then held-out ones.
func (s *Set) entry(i int) entry {
	b := s.data[headerSize+entrySize*i:]
	e := entry{
		tokens: int(binary.LittleEndian.Uint32(b)),
		labels: int(binary.LittleEndian.Uint32(b[4:])),
		length: int(binary.LittleEndian.Uint32(b[8:])),
	}
	if e.labels == noLabels {
		e.labels = -1
	}
	return e
}

func (e entry) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint32(b, uint32(e.tokens))
	b = binary.LittleEndian.AppendUint32(b, uint32(e.labels)) // -1 becomes noLabels
	b = binary.LittleEndian.AppendUint32(b, uint32(e.length))
	return binary.LittleEndian.AppendUint32(b, 0)
}

var errNoExamples = errors.New("no training example: an empty shard trains nothing")
