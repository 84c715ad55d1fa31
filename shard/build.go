package shard

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/google/renameio/v2"
)

// Build writes the examples as one shard to path, whole or not at all, and
// returns its hash. The same examples in the same order give the same bytes.
// A token outside the vocabulary, an example without tokens, and a set without
// a training example are errors.
func Build(path string, info Info, examples []Example) (Hash, error) {
	l, order, err := plan(info.Vocab, examples)
	if err != nil {
		return Hash{}, fmt.Errorf("build shard %s: %w", path, err)
	}
	f, err := renameio.NewPendingFile(path, renameio.WithPermissions(0o644))
	if err != nil {
		return Hash{}, fmt.Errorf("build shard: %w", err)
	}
	defer f.Cleanup()
	hash, err := write(f, l, order)
	if err != nil {
		return Hash{}, fmt.Errorf("write shard %s: %w", path, err)
	}
	if err := f.CloseAtomicallyReplace(); err != nil {
		return Hash{}, fmt.Errorf("write shard: %w", err)
	}
	return hash, nil
}

// plan checks the examples, puts the held-out ones last and lays the file out.
func plan(vocab int, examples []Example) (layout, []Example, error) {
	l := layout{vocab: vocab}
	var train, heldOut []Example
	for i, x := range examples {
		if err := x.check(vocab); err != nil {
			return l, nil, fmt.Errorf("example %d: %w", i, err)
		}
		l.tokens += len(x.Tokens)
		l.labels += len(x.Labels)
		l.maxLen = max(l.maxLen, len(x.Tokens))
		if x.HeldOut {
			heldOut = append(heldOut, x)
		} else {
			train = append(train, x)
		}
	}
	l.train, l.heldOut = len(train), len(heldOut)
	switch {
	case l.train == 0:
		return l, nil, errNoExamples
	case l.tokens > maxItems:
		return l, nil, fmt.Errorf("%d tokens, more than the %d that a shard may hold", l.tokens, uint64(maxItems))
	}
	l.place()
	return l, append(train, heldOut...), nil
}

func (x Example) check(vocab int) error {
	if len(x.Tokens) == 0 {
		return fmt.Errorf("it has no tokens")
	}
	if x.Labels != nil && len(x.Labels) != len(x.Tokens) {
		return fmt.Errorf("%d labels for %d tokens", len(x.Labels), len(x.Tokens))
	}
	for i, t := range x.Tokens {
		if t < 0 || int(t) >= vocab {
			return fmt.Errorf("token %d is %d, outside the vocabulary of %d", i, t, vocab)
		}
	}
	return nil
}

// write writes header, index, tokens, labels and hash.
func write(w io.Writer, l layout, order []Example) (Hash, error) {
	sum := sha256.New()
	b := bufio.NewWriterSize(io.MultiWriter(w, sum), 1<<20)
	b.Write(l.header()) // the Flush below reports the first error of all
	at := entry{}
	for _, x := range order {
		e := entry{tokens: at.tokens, labels: -1, length: len(x.Tokens)}
		if x.Labels != nil {
			e.labels = at.labels
			at.labels += e.length
		}
		at.tokens += e.length
		b.Write(e.append(b.AvailableBuffer()))
	}
	for _, x := range order {
		writeInts(b, x.Tokens)
	}
	for _, x := range order {
		writeInts(b, x.Labels)
	}
	if err := b.Flush(); err != nil {
		return Hash{}, err
	}
	hash := Hash(sum.Sum(nil))
	_, err := w.Write(hash[:])
	return hash, err
}

func writeInts(b *bufio.Writer, values []int32) {
	for _, v := range values {
		b.Write(binary.LittleEndian.AppendUint32(b.AvailableBuffer(), uint32(v)))
	}
}
