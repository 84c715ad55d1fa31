package shard

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// A shard file, all numbers little-endian:
//
//	header   72 bytes: magic; uint32 version, task, vocabulary, classes, blank,
//	         decoder start, longest example, longest target; uint64 training
//	         examples, held-out examples, tokens, words of the examples
//	index    16 bytes an example: uint64 word at which it ends, uint32 tokens,
//	         uint32 labels; the rest of its words are starts
//	words    4 bytes each: tokens, labels and starts of one example after another
//	hash     SHA-256 of everything before
//
// An example begins where the one before ends, so that every word belongs to
// one, and the same examples have one form only. No labels in a causal example
// means that the tokens are the labels.
const (
	magic      = "CARSHARD"
	version    = 2
	headerSize = 72
	entrySize  = 16
	hashSize   = sha256.Size
)

// maxItems bounds every count of a shard, so that sizes computed from a header
// that lies cannot overflow.
const maxItems = 1 << 40

// layout is what a header says.
type layout struct {
	info                   Info
	longest, longestTarget int
	train, heldOut         uint64
	tokens, words          uint64
}

// add counts one more example.
func (l *layout) add(x *Example) {
	l.longest = max(l.longest, len(x.Tokens))
	if l.info.Task == Seq2SeqLM {
		l.longestTarget = max(l.longestTarget, len(x.Labels))
	}
	if x.HeldOut {
		l.heldOut++
	} else {
		l.train++
	}
	l.tokens += uint64(len(x.Tokens))
	l.words += uint64(len(x.Tokens) + len(x.Labels) + len(x.Starts))
}

// wordsAt and hashAt are the byte offsets of the parts that follow the index.
func (l *layout) wordsAt() uint64 { return headerSize + entrySize*(l.train+l.heldOut) }
func (l *layout) hashAt() uint64  { return l.wordsAt() + 4*l.words }

func (l *layout) header() []byte {
	b := append(make([]byte, 0, headerSize), magic...)
	for _, v := range []uint32{version, uint32(l.info.Task), uint32(l.info.Vocab), uint32(l.info.Classes),
		uint32(l.info.Blank), uint32(l.info.DecoderStart), uint32(l.longest), uint32(l.longestTarget)} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	for _, v := range []uint64{l.train, l.heldOut, l.tokens, l.words} {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

func parseHeader(b []byte) (layout, error) {
	if len(b) < len(magic)+4 {
		return layout{}, fmt.Errorf("%d bytes, too short for a shard", len(b))
	}
	if string(b[:8]) != magic {
		return layout{}, fmt.Errorf("starts with %q, not with %q: not a shard", b[:8], magic)
	}
	if v := binary.LittleEndian.Uint32(b[8:]); v != version {
		return layout{}, fmt.Errorf("format version %d; this program reads version %d: make the shard again from its data", v, version)
	}
	if len(b) < headerSize+hashSize {
		return layout{}, fmt.Errorf("%d bytes, too short for a shard", len(b))
	}
	small := func(i int) uint32 { return binary.LittleEndian.Uint32(b[12+4*i:]) }
	l := layout{
		info:    Info{Task: Task(small(0)), Vocab: int(small(1)), Classes: int(small(2)), Blank: int32(small(3)), DecoderStart: int32(small(4))},
		longest: int(small(5)), longestTarget: int(small(6)),
	}
	for i, v := range []*uint64{&l.train, &l.heldOut, &l.tokens, &l.words} {
		if *v = binary.LittleEndian.Uint64(b[40+8*i:]); *v > maxItems {
			return l, fmt.Errorf("header counts %d items, more than the %d that a shard may hold", *v, uint64(maxItems))
		}
	}
	return l, l.info.check()
}

// entry says where an example lies: the byte at which its words begin, and how
// many of them are what.
type entry struct{ at, tokens, labels, starts int }

// entry returns row i of the index: training examples first, then held-out ones.
func (s *Set) entry(i int) entry {
	begin, row := s.row(i)
	e := entry{
		at:     int(s.layout.wordsAt() + 4*begin),
		tokens: int(binary.LittleEndian.Uint32(row[8:])),
		labels: int(binary.LittleEndian.Uint32(row[12:])),
	}
	e.starts = int(binary.LittleEndian.Uint64(row)-begin) - e.tokens - e.labels
	return e
}

// row returns the word at which example i begins, and its row of the index.
func (s *Set) row(i int) (begin uint64, row []byte) {
	at := headerSize + entrySize*i
	if i > 0 {
		begin = binary.LittleEndian.Uint64(s.data[at-entrySize:])
	}
	return begin, s.data[at : at+entrySize]
}
