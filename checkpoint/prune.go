package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"carillon/job"
	"carillon/objstore"
)

// Keep says which checkpoints stay. What HEAD names always does, and so does
// everything that is not below it.
type Keep struct {
	Last   int      // the newest so many, HEAD's included; 0: all
	Every  uint64   // those whose step is a multiple; 0: none for that reason
	Pinned []string // names, beside those that are pinned in the store and the best one
}

// Prune removes the checkpoints that keep does not keep, and what is left of those
// that never became whole. It first names them all to logRemoval, which makes a
// ledger entry: what is named is never restored or written again, so the objects
// may go in any interruption. If that fails nothing is removed.
func Prune(ctx context.Context, store objstore.Store, id job.ID, keep Keep, logRemoval func(names []string) error) error {
	head, _, err := ReadHead(ctx, store, id)
	if errors.Is(err, objstore.ErrNotExist) {
		return nil // nothing is below a HEAD that is not there
	}
	if err != nil {
		return err
	}
	if keep, err = keep.with(ctx, store, id, head); err != nil {
		return err
	}
	groups, err := scan(ctx, store, id)
	if err != nil {
		return err
	}
	groups = keep.surplus(groups, head)
	if len(groups) == 0 {
		return nil
	}
	names := make([]string, len(groups))
	for i, g := range groups {
		names[i] = Name(g.generation, g.step)
	}
	if err := logRemoval(names); err != nil {
		return fmt.Errorf("prune %d checkpoints: %w", len(names), err)
	}
	for _, g := range groups {
		pinned, err := isPinned(ctx, store, id, Name(g.generation, g.step)) // meanwhile: removing takes long
		if err == nil && !pinned {
			err = g.remove(ctx, store)
		}
		if err != nil {
			return fmt.Errorf("prune: %w", err)
		}
	}
	return nil
}

// with adds what is pinned in the store, and the best checkpoint by the newest one's verdict.
func (k Keep) with(ctx context.Context, store objstore.Store, id job.ID, head Head) (Keep, error) {
	pins, err := Pins(ctx, store, id)
	if err != nil || head.Manifest == "" {
		return k, err
	}
	m, err := readManifest(ctx, store, head.Manifest)
	if err != nil {
		return k, fmt.Errorf("prune: what HEAD names: %w", err)
	}
	if m.Verdict != nil && m.Verdict.Name != "" {
		pins = append(pins, m.Verdict.Name)
	}
	k.Pinned = slices.Concat(k.Pinned, pins)
	return k, nil
}

// surplus returns what may go, of groups in their order.
func (k Keep) surplus(groups []*group, head Head) []*group {
	var below []*group
	whole := 0 // how many have a manifest, from the newest to here
	for _, g := range slices.Backward(groups) {
		isBelow := g.generation < head.Generation || (g.generation == head.Generation && g.step < head.Step)
		stays := !isBelow || slices.Contains(g.manifests, head.Manifest)
		if len(g.manifests) > 0 {
			stays = stays || k.Last <= 0 || whole < k.Last || (k.Every > 0 && g.step%k.Every == 0) ||
				slices.Contains(k.Pinned, Name(g.generation, g.step))
			whole++
		}
		if !stays {
			below = append(below, g)
		}
	}
	slices.Reverse(below)
	return below
}

// remove removes a checkpoint: the manifest first, so that none ever names a chunk
// that is gone.
func (g *group) remove(ctx context.Context, store objstore.Store) error {
	for _, key := range slices.Concat(g.manifests, g.chunks) {
		if err := store.Remove(ctx, key); err != nil {
			return err
		}
	}
	return nil
}
