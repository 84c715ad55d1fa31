package storetest

import (
	"context"
	"errors"
	"io"
	"sync"

	"carillon/objstore"
)

// ErrPower is what a store returns once its power is lost.
var ErrPower = errors.New("the power is lost")

// LosePowerAfter returns store with a fault: it serves n half writes, then fails
// for ever. A write is a PutIfAbsent, a Swap or a Remove that reaches the store,
// and has two halves: it takes effect, and its reply arrives. So an odd n loses
// the reply of a write that took effect, the case that callers forget. Trying
// n = 0, 1, 2, … until nothing fails tries every crash point.
func LosePowerAfter(n int, store objstore.Store) objstore.Store {
	return &power{Store: store, left: n}
}

type power struct {
	objstore.Store
	mu   sync.Mutex // guards the fields below; held over writes, so that they have an order
	left int
	off  bool
}

// half spends half a write.
func (p *power) half() error {
	if p.off = p.off || p.left == 0; p.off {
		return ErrPower
	}
	p.left--
	return nil
}

// write does what it is given between the two halves.
func (p *power) write(do func() error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.half(); err != nil {
		return err
	}
	err := do()
	if perr := p.half(); perr != nil {
		return perr
	}
	return err
}

func (p *power) read() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.off {
		return ErrPower
	}
	return nil
}

func (p *power) PutIfAbsent(ctx context.Context, key string, r io.Reader, size int64) error {
	return p.write(func() error { return p.Store.PutIfAbsent(ctx, key, r, size) })
}

func (p *power) Swap(ctx context.Context, key, old string, value []byte) (tag string, err error) {
	err = p.write(func() error { tag, err = p.Store.Swap(ctx, key, old, value); return err })
	return tag, err
}

func (p *power) Remove(ctx context.Context, key string) error {
	return p.write(func() error { return p.Store.Remove(ctx, key) })
}

func (p *power) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, objstore.Info, error) {
	if err := p.read(); err != nil {
		return nil, objstore.Info{}, err
	}
	return p.Store.Get(ctx, key, off, n)
}

func (p *power) List(ctx context.Context, prefix string, fn func(string) error) error {
	if err := p.read(); err != nil {
		return err
	}
	return p.Store.List(ctx, prefix, fn)
}
