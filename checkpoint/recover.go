package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"carillon/job"
	"carillon/objstore"
)

// Recovered says what a job goes on from where its newest checkpoint is damaged.
type Recovered struct {
	From, To string // names of the damaged checkpoint and of the one that HEAD names now
	Lost     uint64 // steps
	Damage   error  // of the newest
}

// Recover reads the newest checkpoint of a job through its hashes. If it is damaged, HEAD
// is moved back to the newest one before it that is whole, under a ledger's incarnation
// of its own, and what was lost is returned; nil is nothing. The error is
// objstore.ErrNotExist if the job has saved nothing, and wraps ErrDamaged if none is whole.
//
// It is for a job that is not running: a ledger that is finds itself deposed.
func Recover(ctx context.Context, store objstore.Store, id job.ID) (*Recovered, error) {
	head, _, err := ReadHead(ctx, store, id)
	if err != nil {
		return nil, err
	}
	if head.Manifest == "" {
		return nil, fmt.Errorf("job %s has saved nothing yet: %w", id, objstore.ErrNotExist)
	}
	_, damage := readWhole(ctx, store, head.Manifest)
	if damage == nil || !errors.Is(damage, ErrDamaged) {
		return nil, damage
	}
	name, step, err := nameIn(head.Manifest)
	if err != nil {
		return nil, err
	}
	m, err := newestWhole(ctx, store, id, step)
	if err != nil {
		return nil, errors.Join(damage, err)
	}
	if err := RestoreTo(ctx, store, m); err != nil {
		return nil, err
	}
	return &Recovered{From: name, To: m.Name(), Lost: step - m.Step, Damage: damage}, nil
}

// RestoreTo moves HEAD to a checkpoint of a job that is not running: the next ledger finds
// the generation and the incarnation in HEAD. One that is running is deposed.
func RestoreTo(ctx context.Context, store objstore.Store, m Manifest) error {
	now, _, err := ReadHead(ctx, store, m.Job)
	if err != nil {
		return err
	}
	by := Head{Incarnation: now.Incarnation + 1, Term: now.Term, Generation: now.Generation + 1}
	_, err = Restore(ctx, store, by, m)
	return err
}

// nameIn returns the name and the step in a manifest's key.
func nameIn(key string) (name string, step uint64, err error) {
	if parts := strings.Split(key, "/"); len(parts) == 3 {
		if _, step, ok := parseName(parts[1]); ok {
			return parts[1], step, nil
		}
	}
	return "", 0, fmt.Errorf("HEAD names %q, which is no manifest's name", key)
}

// newestWhole returns the checkpoint below step that is whole and has most steps.
func newestWhole(ctx context.Context, store objstore.Store, id job.ID, step uint64) (Manifest, error) {
	groups, err := scan(ctx, store, id)
	if err != nil {
		return Manifest{}, err
	}
	slices.SortStableFunc(groups, func(a, b *group) int { return int(b.step) - int(a.step) })
	for _, g := range groups {
		if g.step >= step {
			continue
		}
		for _, key := range g.manifests {
			m, err := readWhole(ctx, store, key)
			if err == nil || !errors.Is(err, ErrDamaged) {
				return m, err
			}
		}
	}
	return Manifest{}, damagef("job %s: no checkpoint before step %d is whole", id, step)
}

// readWhole reads a manifest, and all its chunks through their hashes.
func readWhole(ctx context.Context, store objstore.Store, key string) (Manifest, error) {
	m, err := readManifest(ctx, store, key)
	if err != nil {
		return m, err
	}
	for i, c := range m.Chunks {
		if err := checkChunk(ctx, store, m, i, chunkKey(m.Job, m.Generation, m.Step, c.SHA256)); err != nil {
			return m, err
		}
	}
	return m, nil
}
