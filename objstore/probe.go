package objstore

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"
)

// Promise is something that checkpoints count on, and whether a store keeps it.
type Promise struct {
	Name string
	Took time.Duration
	Err  error // nil: kept
}

// Probe asks a store to show what checkpoints count on, and returns the promises in the
// order in which they were tried. Some servers take conditions and ignore them, some
// only when nobody races: to believe their documentation costs a checkpoint. It writes
// some 9 MB under "store-check/" and removes them.
func Probe(ctx context.Context, s Store) []Promise {
	p := probe{Store: s, prefix: "store-check/" + nonce() + "/"}
	var all []Promise
	for _, tt := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"a missing object is said to be missing", p.missing},
		{"an object is read as it was written", p.roundTrip},
		{"what exists is not created again", p.createTwice},
		{"of racing creators one wins", p.raceCreate},
		{"a swap needs the tag", p.swap},
		{"of racing swaps one wins", p.raceSwap},
		{"a range is read", p.ranged},
		{"what is written is listed, in order", p.list},
		{"a chunk of 8 MiB is not created again", p.large},
		{"what is removed is gone", p.remove},
	} {
		began := time.Now()
		err := tt.do(ctx)
		all = append(all, Promise{tt.name, time.Since(began), err})
		if ctx.Err() != nil {
			break
		}
	}
	return all
}

// Broken returns an error that names the promises which are not kept, or nil. Where a store
// did not serve a call, it is that one's ErrTemporary: then nothing is known.
func Broken(all []Promise) error {
	var errs []error
	for _, p := range all {
		if errors.Is(p.Err, ErrTemporary) || errors.Is(p.Err, context.Canceled) {
			return p.Err
		}
		if p.Err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.Name, p.Err))
		}
	}
	return errors.Join(errs...)
}

func nonce() string {
	var random [8]byte
	rand.Read(random[:]) // never fails (crypto/rand)
	return hex.EncodeToString(random[:])
}

// probe is a store under examination.
type probe struct {
	Store
	prefix string
}

// create creates an object. One with that very value is success: the reply of a try may
// have been lost.
func (p probe) create(ctx context.Context, name string, value []byte) error {
	err := p.PutIfAbsent(ctx, p.prefix+name, bytes.NewReader(value), int64(len(value)))
	if errors.Is(err, ErrExist) && p.holds(ctx, name, value) == nil {
		return nil
	}
	return err
}

// holds says whether an object has a value.
func (p probe) holds(ctx context.Context, name string, value []byte) error {
	b, _, err := ReadAll(ctx, p.Store, p.prefix+name)
	if err == nil && !bytes.Equal(b, value) {
		err = fmt.Errorf("%d other bytes came", len(b))
	}
	return err
}

// want says whether err is the one that it should be.
func want(err, wanted error) error {
	switch {
	case errors.Is(err, wanted):
		return nil
	case err == nil:
		return errors.New("the condition was ignored")
	}
	return err
}

func (p probe) missing(ctx context.Context) error {
	_, _, err := ReadAll(ctx, p.Store, p.prefix+"missing")
	if err == nil {
		return errors.New("it was read")
	}
	return want(err, ErrNotExist)
}

func (p probe) roundTrip(ctx context.Context) error {
	if err := p.create(ctx, "a", []byte("first")); err != nil {
		return err
	}
	return p.holds(ctx, "a", []byte("first"))
}

func (p probe) createTwice(ctx context.Context) error {
	if err := want(p.create(ctx, "a", []byte("second")), ErrExist); err != nil {
		return err
	}
	return p.holds(ctx, "a", []byte("first"))
}

func (p probe) raceCreate(ctx context.Context) error {
	return oneWins(ErrExist, func(i int) error { return p.create(ctx, "race", []byte{byte(i)}) })
}

func (p probe) swap(ctx context.Context) error {
	key := p.prefix + "head"
	_, err := p.Swap(ctx, key, "nonsense", []byte("0"))
	if err := want(err, ErrStale); err != nil {
		return fmt.Errorf("an absent object: %w", err)
	}
	first, err := p.Swap(ctx, key, "", []byte("1"))
	if err != nil {
		return err
	}
	if _, err = p.Swap(ctx, key, "", []byte("2")); want(err, ErrStale) != nil {
		return fmt.Errorf("as if it were absent: %w", want(err, ErrStale))
	}
	if _, err = p.Swap(ctx, key, first, []byte("3")); err != nil {
		return err
	}
	if _, err = p.Swap(ctx, key, first, []byte("4")); want(err, ErrStale) != nil {
		return fmt.Errorf("by an old tag: %w", want(err, ErrStale))
	}
	return p.holds(ctx, "head", []byte("3"))
}

func (p probe) raceSwap(ctx context.Context) error {
	key := p.prefix + "head"
	_, tag, err := ReadAll(ctx, p.Store, key)
	if err != nil {
		return err
	}
	return oneWins(ErrStale, func(i int) error { _, err := p.Swap(ctx, key, tag, []byte{byte(i)}); return err })
}

// oneWins makes eight calls at once, of which one may succeed.
func oneWins(others error, call func(i int) error) error {
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = call(i) })
	}
	wg.Wait()
	winners := 0
	for _, err := range errs {
		if err == nil {
			winners++
		} else if !errors.Is(err, others) {
			return err
		}
	}
	if winners != 1 {
		return fmt.Errorf("%d of %d won", winners, len(errs))
	}
	return nil
}

func (p probe) ranged(ctx context.Context) error {
	r, info, err := p.Get(ctx, p.prefix+"a", 1, 3)
	if err != nil {
		return err
	}
	b, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err == nil && (string(b) != "irs" || info.Size != 5) {
		err = fmt.Errorf("%q of %d bytes came, want \"irs\" of 5", b, info.Size)
	}
	return err
}

func (p probe) list(ctx context.Context) error {
	for _, name := range []string{"l/b", "l-a"} {
		if err := p.create(ctx, name, nil); err != nil {
			return err
		}
	}
	var got []string
	err := p.List(ctx, p.prefix+"l", func(key string) error { got = append(got, key); return nil })
	if err == nil && !slices.Equal(got, []string{p.prefix + "l-a", p.prefix + "l/b"}) {
		err = fmt.Errorf("%q were listed", got)
	}
	return err
}

// large is of the size of a checkpoint's chunks.
func (p probe) large(ctx context.Context) error {
	chunk := bytes.Repeat([]byte("carillon"), 1<<20)
	if err := p.create(ctx, "chunk", chunk); err != nil {
		return err
	}
	if err := want(p.create(ctx, "chunk", chunk[8:]), ErrExist); err != nil {
		return err
	}
	return p.holds(ctx, "chunk", chunk)
}

// remove removes all that the probe has written.
func (p probe) remove(ctx context.Context) error {
	var keys []string
	err := p.List(ctx, p.prefix, func(key string) error { keys = append(keys, key); return nil })
	for _, key := range keys {
		err = errors.Join(err, p.Remove(ctx, key))
	}
	if err == nil {
		err = p.List(ctx, p.prefix, func(key string) error { return fmt.Errorf("%s is still listed", key) })
	}
	return err
}
