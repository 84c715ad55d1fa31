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

// ErrMoved: HEAD was moved by another while it was decided where to move it.
var ErrMoved = errors.New("another moves HEAD: the job is running")

// Recover reads the newest checkpoint of a job through its hashes. If it is damaged, HEAD
// is moved back to the newest one before it that is whole, under an incarnation and a
// generation of their own, and what was lost is returned; nil is nothing. The error is
// objstore.ErrNotExist if the job has saved nothing, wraps ErrDamaged if none is whole,
// and ErrMoved if somebody else saves.
//
// It is for a job that is not running: a ledger that is finds itself deposed.
func Recover(ctx context.Context, store objstore.Store, id job.ID) (*Recovered, error) {
	head, damage, err := judge(ctx, store, id)
	if damage == nil || err != nil {
		return nil, err
	}
	name, step, err := nameIn(head.Manifest)
	if err != nil {
		return nil, err
	}
	m, err := newestWhole(ctx, store, id, step)
	if err != nil {
		return nil, errors.Join(damage, err)
	}
	if err := restoreFrom(ctx, store, head, m); err != nil {
		return nil, err
	}
	return &Recovered{From: name, To: m.Name(), Lost: step - m.Step, Damage: damage}, nil
}

// judge says what is wrong with what HEAD names, if it is so again when it is read once
// more: a byte may have been changed on its way, or HEAD may have moved on and what it
// named have been pruned.
func judge(ctx context.Context, store objstore.Store, id job.ID) (head Head, damage, err error) {
	for tries := 0; tries < 2; {
		now, _, err := ReadHead(ctx, store, id)
		if err != nil {
			return head, nil, err
		}
		if now.Manifest == "" {
			return head, nil, fmt.Errorf("job %s has saved nothing yet: %w", id, objstore.ErrNotExist)
		}
		if now == head {
			tries++
		} else {
			head, tries = now, 0
		}
		_, damage = readWhole(ctx, store, head.Manifest)
		if damage == nil || !errors.Is(damage, ErrDamaged) {
			return head, nil, damage
		}
	}
	return head, damage, nil
}

// RestoreTo moves HEAD to a checkpoint of a job that is not running: the next ledger finds
// the generation and the incarnation in HEAD. One that is running is deposed. The
// checkpoint is pinned, and stays so: somebody may be pruning by an older HEAD.
func RestoreTo(ctx context.Context, store objstore.Store, m Manifest) error {
	if err := Pin(ctx, store, m.Job, m.Name()); err != nil { // a running job prunes
		return err
	}
	now, _, err := ReadHead(ctx, store, m.Job)
	if err != nil {
		return err
	}
	return restoreFrom(ctx, store, now, m)
}

// restoreFrom moves HEAD from where it was to m. If m has been pruned meanwhile, HEAD goes
// back: what it names must be stored.
func restoreFrom(ctx context.Context, store objstore.Store, was Head, m Manifest) error {
	moved, err := replace(ctx, store, m.Job, was, m.Step, m.key)
	if err != nil {
		return err
	}
	if _, err := readManifest(ctx, store, m.key); errors.Is(err, ErrDamaged) {
		_, back := replace(ctx, store, m.Job, moved, was.Step, was.Manifest)
		return errors.Join(fmt.Errorf("checkpoint %s was pruned while HEAD was moved to it: %w", m.Name(), err), back)
	}
	return nil
}

// replace makes HEAD name another manifest, if it is still the one that was.
func replace(ctx context.Context, store objstore.Store, id job.ID, was Head, step uint64, manifest string) (Head, error) {
	return move(ctx, store, id, func(now Head) (Head, error) {
		if now != was {
			return now, fmt.Errorf("job %s: HEAD went from %v to %v meanwhile: %w", id, was, now, ErrMoved)
		}
		return Head{Incarnation: now.Incarnation + 1, Term: now.Term, Generation: now.Generation + 1, Step: step, Manifest: manifest}, nil
	})
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
		return m, mustBeGone(ctx, store, key, err)
	}
	for i, c := range m.Chunks {
		chunk := chunkKey(m.Job, m.Generation, m.Step, c.SHA256)
		if err := checkChunk(ctx, store, m, i, chunk); err != nil {
			return m, mustBeGone(ctx, store, chunk, err)
		}
	}
	return m, nil
}

// mustBeGone returns err, that an object is missing or damaged, unless it is missing and yet
// listed: something between here and the store has answered in its place.
func mustBeGone(ctx context.Context, store objstore.Store, key string, err error) error {
	var missing *MissingError
	if !errors.As(err, &missing) && !errors.Is(err, errNoManifest) {
		return err
	}
	there := false
	if lerr := store.List(ctx, key, func(k string) error { there = there || k == key; return nil }); lerr != nil {
		return lerr
	}
	if there {
		return fmt.Errorf("%s is listed and not served: %w", key, objstore.ErrTemporary)
	}
	return err
}
