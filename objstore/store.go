// Package objstore is what checkpoints need from an object store, and no more:
// objects that are created once and never change, and one small object that is
// moved by compare-and-swap.
//
// # How
//
// Store is the contract. Mem keeps objects in memory, objstore/dir in a folder,
// objstore/s3 in a bucket; objstore/storetest is the list of behaviours that each must
// show, and Probe what a store in use is asked to show. Retry and AtMost wrap any of
// them. Keys are paths with slashes; no key is a folder of another.
//
// # Failure
//
// A call that fails has changed nothing, or the change happened and its reply was
// lost: callers repeat a PutIfAbsent (ErrExist is then success, since names come
// from contents) and put a nonce into what they swap.
//
// # Who decides
//
// What may be overwritten or removed, and in which order, is package
// checkpoint's law.
package objstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
)

// The errors on which callers act. They come wrapped, with the key.
var (
	ErrExist    = errors.New("object exists")         // PutIfAbsent: the key is taken
	ErrNotExist = errors.New("object does not exist") // Get
	ErrStale    = errors.New("object has changed")    // Swap: the tag is not the object's
	ErrFull     = errors.New("the store is full")     // PutIfAbsent, Swap: until a person makes room
	// ErrTemporary: the call may be made again, and may then find that it took effect.
	ErrTemporary = errors.New("the store does not serve this now")
)

// MaxSwap is the largest value that Swap stores, in bytes. (Large conditional
// writes are where S3's clients and servers drop the condition.)
const MaxSwap = 64 << 10

// Info describes an object.
type Info struct {
	Size int64
	// Tag names the object's content for Swap. Objects over MaxSwap may have none.
	Tag string
}

// Store is what a checkpoint needs from an object store, and no more.
// Implementations are safe for concurrent use, by several processes if the store
// outlives one. When ctx ends, a call returns soon with its error.
type Store interface {
	// PutIfAbsent stores the size bytes of r under key. An object appears whole
	// or not at all, and outlives a loss of power. If key is taken, it changes
	// nothing and returns ErrExist.
	PutIfAbsent(ctx context.Context, key string, r io.Reader, size int64) error
	// Get returns n bytes from off (n < 0: all), fewer where the object ends
	// before, and the object's size and tag, or ErrNotExist. The caller closes
	// the reader.
	Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, Info, error)
	// Swap replaces the object if its tag is still old ("" for absent), and
	// returns the new tag. Otherwise it changes nothing and returns ErrStale.
	Swap(ctx context.Context, key, old string, value []byte) (tag string, err error)
	// List calls fn for each key that starts with prefix, in key order, and
	// stops at fn's first error, which it returns.
	List(ctx context.Context, prefix string, fn func(key string) error) error
	// Remove deletes the object. Removing a missing object is not an error.
	Remove(ctx context.Context, key string) error
}

// CheckKey says what is wrong with a key. Each part between slashes is of letters,
// digits and the marks - _ . = + @ and does not begin with a dot, so that every
// store can hold it and keep files of its own beside it.
func CheckKey(key string) error {
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part[0] == '.' || len(part) > 200 || strings.ContainsFunc(part, badRune) {
			return fmt.Errorf("key %q: each part between slashes must have 1 to 200 of the characters A-Z a-z 0-9 - _ . = + @ and not begin with a dot", key)
		}
	}
	return nil
}

func badRune(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.=+@", r)
}

// CheckSwap says what is wrong with the arguments of a Swap.
func CheckSwap(key string, value []byte) error {
	if len(value) > MaxSwap {
		return fmt.Errorf("swap %s: %d bytes are too many: at most %d", key, len(value), MaxSwap)
	}
	return CheckKey(key)
}

// TagOf is a tag made from the content: equal contents have equal tags.
func TagOf(value []byte) string {
	sum := sha256.Sum256(value)
	return hex.EncodeToString(sum[:])
}

// ReadAll returns a whole object and its tag. One that is swapped while it is read is read
// again.
func ReadAll(ctx context.Context, s Store, key string) ([]byte, string, error) {
	b, tag, err := readAll(ctx, s, key)
	for tries := 1; errors.Is(err, ErrStale) && tries < 10; tries++ {
		b, tag, err = readAll(ctx, s, key)
	}
	return b, tag, err
}

func readAll(ctx context.Context, s Store, key string) ([]byte, string, error) {
	r, info, err := s.Get(ctx, key, 0, -1)
	if err != nil {
		return nil, "", err
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err == nil && int64(len(b)) != info.Size {
		err = fmt.Errorf("%d of %d bytes came: %w", len(b), info.Size, io.ErrUnexpectedEOF)
	}
	if err != nil {
		return nil, "", fmt.Errorf("get %s: %w", key, err)
	}
	return b, info.Tag, nil
}

// Seekable returns r, or what it holds if it cannot seek, and where it stands.
func Seekable(r io.Reader) (io.ReadSeeker, int64, error) {
	if s, ok := r.(io.ReadSeeker); ok {
		at, err := s.Seek(0, io.SeekCurrent)
		return s, at, err
	}
	b, err := io.ReadAll(r)
	return bytes.NewReader(b), 0, err
}

// ReadExactly reads the size bytes that r must have, no fewer and no more.
func ReadExactly(w io.Writer, r io.Reader, key string, size int64) error {
	n, err := io.Copy(w, io.LimitReader(r, size))
	if err != nil {
		return err
	}
	if n == size {
		var more [1]byte
		if k, _ := io.ReadFull(r, more[:]); k == 0 {
			return nil
		}
		return fmt.Errorf("put %s: the reader has more than the %d bytes announced", key, size)
	}
	return fmt.Errorf("put %s: the reader ended after %d of the %d bytes announced", key, n, size)
}
