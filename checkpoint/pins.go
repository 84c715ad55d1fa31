package checkpoint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"carillon/job"
	"carillon/objstore"
)

// pinKey is where a pin is: an empty object. Prune keeps what is pinned.
func pinKey(id job.ID, name string) string { return string(id) + "/pins/" + name }

// Pin keeps a checkpoint from being pruned. One that is not stored, or was pruned
// meanwhile, is an error. (Prune looks before each removal: only one that is just being
// removed can still go.)
func Pin(ctx context.Context, store objstore.Store, id job.ID, name string) error {
	if _, err := Find(ctx, store, id, name); err != nil {
		return err
	}
	err := store.PutIfAbsent(ctx, pinKey(id, name), bytes.NewReader(nil), 0)
	if err != nil && !errors.Is(err, objstore.ErrExist) {
		return err
	}
	if _, err := Find(ctx, store, id, name); err != nil {
		return errors.Join(fmt.Errorf("it was pruned while it was pinned: %w", err), Unpin(ctx, store, id, name))
	}
	return nil
}

// Unpin takes a pin away; where there is none it does nothing.
func Unpin(ctx context.Context, store objstore.Store, id job.ID, name string) error {
	return store.Remove(ctx, pinKey(id, name))
}

func isPinned(ctx context.Context, store objstore.Store, id job.ID, name string) (bool, error) {
	r, _, err := store.Get(ctx, pinKey(id, name), 0, -1)
	if errors.Is(err, objstore.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, r.Close()
}

// Pins returns the names of a job's pinned checkpoints.
func Pins(ctx context.Context, store objstore.Store, id job.ID) (names []string, err error) {
	err = store.List(ctx, pinKey(id, ""), func(key string) error {
		names = append(names, strings.TrimPrefix(key, pinKey(id, "")))
		return nil
	})
	return names, err
}

// List returns the manifests of a job's checkpoints by generation and step. Those that
// cannot be read are in the error, which joins them; the others are returned with it.
func List(ctx context.Context, store objstore.Store, id job.ID) ([]Manifest, error) {
	groups, err := scan(ctx, store, id)
	if err != nil {
		return nil, err
	}
	var all []Manifest
	var errs []error
	for _, g := range groups {
		for _, key := range g.manifests {
			m, err := readManifest(ctx, store, key)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			all = append(all, m)
		}
	}
	return all, errors.Join(errs...)
}
