package objstore

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
)

var _ Store = (*Mem)(nil)

// Mem is a store in memory. Its zero value is empty and ready.
type Mem struct {
	mu      sync.Mutex // guards the fields below
	objects map[string][]byte
}

// PutIfAbsent implements Store.
func (m *Mem) PutIfAbsent(ctx context.Context, key string, r io.Reader, size int64) error {
	if err := cmp.Or(ctx.Err(), CheckKey(key)); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := ReadExactly(&b, r, key, size); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, taken := m.objects[key]; taken {
		return fmt.Errorf("put %s: %w", key, ErrExist)
	}
	m.set(key, b.Bytes())
	return nil
}

// set stores a value; the lock is held.
func (m *Mem) set(key string, value []byte) {
	if m.objects == nil {
		m.objects = map[string][]byte{}
	}
	m.objects[key] = value
}

// Get implements Store.
func (m *Mem) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, Info, error) {
	if err := cmp.Or(ctx.Err(), CheckKey(key)); err != nil {
		return nil, Info{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.objects[key]
	if !ok {
		return nil, Info{}, fmt.Errorf("get %s: %w", key, ErrNotExist)
	}
	from, to, err := Span(key, int64(len(b)), off, n)
	if err != nil {
		return nil, Info{}, err
	}
	// Objects never change in place, so the reader may look at them unlocked.
	info := Info{Size: int64(len(b))}
	if len(b) <= MaxSwap {
		info.Tag = TagOf(b)
	}
	return io.NopCloser(bytes.NewReader(b[from:to])), info, nil
}

// Swap implements Store.
func (m *Mem) Swap(ctx context.Context, key, old string, value []byte) (string, error) {
	if err := cmp.Or(ctx.Err(), CheckSwap(key, value)); err != nil {
		return "", err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	tag := ""
	if b, ok := m.objects[key]; ok {
		tag = TagOf(b)
	}
	if tag != old {
		return "", fmt.Errorf("swap %s: %w", key, ErrStale)
	}
	m.set(key, slices.Clone(value))
	return TagOf(value), nil
}

// List implements Store.
func (m *Mem) List(ctx context.Context, prefix string, fn func(key string) error) error {
	m.mu.Lock()
	keys := slices.Sorted(maps.Keys(m.objects))
	m.mu.Unlock()
	for _, key := range keys {
		if !strings.HasPrefix(key, prefix) {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := fn(key); err != nil {
			return err
		}
	}
	return nil
}

// Remove implements Store.
func (m *Mem) Remove(ctx context.Context, key string) error {
	if err := cmp.Or(ctx.Err(), CheckKey(key)); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.objects, key)
	return nil
}

// Span cuts the range that Get asks for, [off, off+n), to an object of size bytes.
func Span(key string, size, off, n int64) (from, to int64, err error) {
	if off < 0 || off > size {
		return 0, 0, fmt.Errorf("get %s from byte %d: it has %d bytes", key, off, size)
	}
	if n < 0 || n > size-off {
		n = size - off
	}
	return off, off + n, nil
}
