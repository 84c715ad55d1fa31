package shard

import (
	"bufio"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/google/renameio/v2"
)

var errNoExamples = errors.New("no training example: an empty shard trains nothing")

// Build writes the examples as one shard to path, whole or not at all, and
// returns its hash. The same examples in the same order give the same bytes. An
// example that breaks the law of info's task (see Example), and a set without a
// training example, are errors.
func Build(path string, info Info, examples []Example) (Hash, error) {
	l, order, err := plan(info, examples)
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

// plan checks the examples, orders them as the file has them, and counts them.
func plan(info Info, examples []Example) (layout, []*Example, error) {
	l := layout{info: info}
	if err := info.check(); err != nil {
		return l, nil, err
	}
	order := make([]*Example, len(examples))
	for i := range examples {
		x := &examples[i]
		if err := x.check(info); err != nil {
			return l, nil, fmt.Errorf("example %d: %w", i, err)
		}
		l.add(x)
		order[i] = x
	}
	if l.train == 0 {
		return l, nil, errNoExamples
	}
	slices.SortStableFunc(order, func(a, b *Example) int { return cmp.Compare(a.place(info.Task), b.place(info.Task)) })
	return l, order, nil
}

// place says where an example stands in the file: training part first, by class,
// and the held-out part after it, as it came.
func (x *Example) place(task Task) int64 {
	switch {
	case x.HeldOut:
		return 1 << 32
	case task == SeqCls:
		return int64(x.Labels[0])
	}
	return 0
}

// write writes header, index, words and hash.
func write(w io.Writer, l layout, order []*Example) (Hash, error) {
	sum := sha256.New()
	b := bufio.NewWriterSize(io.MultiWriter(w, sum), 1<<20)
	b.Write(l.header()) // the Flush below reports the first error of all
	end := uint64(0)
	for _, x := range order {
		end += uint64(len(x.Tokens) + len(x.Labels) + len(x.Starts))
		b.Write(x.appendRow(b.AvailableBuffer(), end))
	}
	for _, x := range order {
		for _, words := range [][]int32{x.Tokens, x.Labels, x.Starts} {
			writeInts(b, words)
		}
	}
	if err := b.Flush(); err != nil {
		return Hash{}, err
	}
	hash := Hash(sum.Sum(nil))
	_, err := w.Write(hash[:])
	return hash, err
}

// appendRow appends the example's row of the index.
func (x *Example) appendRow(b []byte, end uint64) []byte {
	b = binary.LittleEndian.AppendUint64(b, end)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(x.Tokens)))
	return binary.LittleEndian.AppendUint32(b, uint32(len(x.Labels)))
}

func writeInts(b *bufio.Writer, values []int32) {
	for _, v := range values {
		b.Write(binary.LittleEndian.AppendUint32(b.AvailableBuffer(), uint32(v)))
	}
}
