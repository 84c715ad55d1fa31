package shard

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
)

// check reads a shard's bytes, once, and vouches for all that Set's methods rely
// on.
func check(data []byte) (*Set, error) {
	l, err := parseHeader(data)
	if err != nil {
		return nil, err
	}
	if want := l.hashAt() + hashSize; uint64(len(data)) != want {
		return nil, fmt.Errorf("%d bytes where its header promises %d: cut short or damaged", len(data), want)
	}
	c := checker{set: &Set{layout: l, data: data}, seen: layout{info: l.info}, sum: sha256.New()}
	fault := c.examples()
	c.hash(int(l.hashAt()))
	c.set.hash = Hash(c.sum.Sum(nil))
	if stored := data[l.hashAt():]; !bytes.Equal(c.set.hash[:], stored) {
		return nil, damaged(c.set.hash, stored, fault)
	}
	return c.set, fault
}

// damaged says that the hash is another one, and, if it was seen, where.
func damaged(got Hash, stored []byte, fault error) error {
	err := fmt.Errorf("content hash %v differs from the stored %x: damaged", got, stored)
	if fault != nil {
		err = fmt.Errorf("%w (%w)", err, fault)
	}
	return err
}

// hashStep is how many bytes are hashed at a time: soon after they were checked,
// while they are still near the processor.
const hashStep = 64 << 10

// checker goes through a shard from front to back.
type checker struct {
	set    *Set
	seen   layout // what the examples so far add up to
	sum    hash.Hash
	hashed int     // bytes
	words  []int32 // of the example being checked; memory to be used again
}

// hash hashes on up to byte end.
func (c *checker) hash(end int) {
	c.sum.Write(c.set.data[c.hashed:end])
	c.hashed = end
}

// examples returns the first fault of index and words.
func (c *checker) examples() error {
	l := &c.set.layout
	c.hash(int(l.wordsAt()))
	for i := range int(l.train + l.heldOut) {
		if err := c.example(i); err != nil {
			return fmt.Errorf("example %d: %w", i, err)
		}
	}
	return c.totals()
}

func (c *checker) example(i int) error {
	if err := c.set.checkRow(i); err != nil {
		return err
	}
	var x Example
	e := c.set.entry(i)
	x, c.words = c.set.read(e, c.words)
	x.HeldOut = uint64(i) >= c.set.layout.train
	if err := x.check(c.seen.info); err != nil {
		return err
	}
	c.seen.add(&x)
	if end := e.at + 4*len(c.words); end-c.hashed >= hashStep {
		c.hash(end)
	}
	if c.seen.info.Task == SeqCls && !x.HeldOut {
		return c.set.enter(i, x.Labels[0])
	}
	return nil
}

// checkRow makes sure that entry may be asked for example i.
func (s *Set) checkRow(i int) error {
	begin, row := s.row(i)
	end := binary.LittleEndian.Uint64(row)
	if end < begin || end > s.layout.words {
		return fmt.Errorf("it ends at word %d, want %d to %d", end, begin, s.layout.words)
	}
	tokens, labels := binary.LittleEndian.Uint32(row[8:]), binary.LittleEndian.Uint32(row[12:])
	if uint64(tokens)+uint64(labels) > end-begin {
		return fmt.Errorf("%d tokens and %d labels in %d words", tokens, labels, end-begin)
	}
	return nil
}

// enter puts training example i into the table of classes.
func (s *Set) enter(i int, label int32) error {
	if n := len(s.classes); n > 0 && s.classes[n-1].label == label {
		s.classes[n-1].size++
		return nil
	} else if n > 0 && s.classes[n-1].label > label {
		return fmt.Errorf("class %d after class %d; classes must ascend", label, s.classes[n-1].label)
	}
	s.classes = append(s.classes, class{label: label, first: i, size: 1})
	return nil
}

// totals compares what the header says with what the examples add up to.
func (c *checker) totals() error {
	said, seen := &c.set.layout, &c.seen
	for _, t := range []struct {
		what       string
		said, seen uint64
	}{
		{"longest example", uint64(said.longest), uint64(seen.longest)},
		{"longest target", uint64(said.longestTarget), uint64(seen.longestTarget)},
		{"tokens", said.tokens, seen.tokens},
		{"words", said.words, seen.words},
	} {
		if t.said != t.seen {
			return fmt.Errorf("the header says %s %d, the examples say %d", t.what, t.said, t.seen)
		}
	}
	if said.train == 0 {
		return errNoExamples
	}
	return nil
}
