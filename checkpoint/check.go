package checkpoint

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"carillon/job"
	"carillon/objstore"
)

// Report is what a job has in a store.
type Report struct {
	Head        Head    // zero if there is none
	Checkpoints []Saved // by generation and step
	// Orphans are objects that no manifest names: of a checkpoint that is being
	// saved, or that never became whole. They are no fault.
	Orphans []string
}

// Saved is a checkpoint that has a manifest.
type Saved struct {
	Generation, Step uint64
	Manifest         string // its key
	Digest           string
	Size             int64 // bytes of its state
}

// Name is the checkpoint's name in the store.
func (s Saved) Name() string { return Name(s.Generation, s.Step) }

// Check proves the law on a job's objects: HEAD names a manifest that is stored,
// each manifest names only chunks that are stored, and every byte is what its name
// says. The error joins all that is wrong. It reads everything, and is meant for
// times when nothing is pruned.
func Check(ctx context.Context, store objstore.Store, id job.ID) (Report, error) {
	var report Report
	var wrong []error
	folders, err := scan(ctx, store, id)
	if err != nil {
		return report, err
	}
	for _, f := range folders {
		saved, orphans, err := f.check(ctx, store)
		report.Checkpoints = append(report.Checkpoints, saved...)
		report.Orphans = append(report.Orphans, orphans...)
		wrong = append(wrong, err)
	}
	report.Head, _, err = ReadHead(ctx, store, id)
	if err != nil && !errors.Is(err, objstore.ErrNotExist) {
		wrong = append(wrong, err)
	}
	if key := report.Head.Manifest; key != "" && !slices.ContainsFunc(report.Checkpoints, func(s Saved) bool { return s.Manifest == key }) {
		wrong = append(wrong, fmt.Errorf("HEAD of job %s names %s, which is not stored whole", id, key))
	}
	return report, errors.Join(wrong...)
}

// group is what is stored of one checkpoint.
type group struct {
	generation, step  uint64
	manifests, chunks []string // keys
}

// scan lists a job's checkpoints, whole or not, by generation and step.
func scan(ctx context.Context, store objstore.Store, id job.ID) ([]*group, error) {
	found := map[string]*group{}
	err := store.List(ctx, string(id)+"/", func(key string) error {
		name, file, ok := strings.Cut(strings.TrimPrefix(key, string(id)+"/"), "/")
		generation, step, isName := parseName(name)
		if !ok || !isName {
			return nil // HEAD, or something that is not ours
		}
		g := found[name]
		if g == nil {
			g = &group{generation: generation, step: step}
			found[name] = g
		}
		if strings.HasPrefix(file, manifestMark) {
			g.manifests = append(g.manifests, key)
		} else {
			g.chunks = append(g.chunks, key)
		}
		return nil
	})
	all := make([]*group, 0, len(found))
	for _, g := range found {
		all = append(all, g)
	}
	slices.SortFunc(all, func(a, b *group) int {
		return cmp.Or(cmp.Compare(a.generation, b.generation), cmp.Compare(a.step, b.step))
	})
	return all, err
}

// check verifies what is stored of one checkpoint.
func (g *group) check(ctx context.Context, store objstore.Store) (saved []Saved, orphans []string, err error) {
	var wrong []error
	named := map[string]bool{}
	for _, key := range g.manifests {
		m, err := readManifest(ctx, store, key)
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		for i, c := range m.Chunks {
			chunk := chunkKey(m.Job, m.Generation, m.Step, c.SHA256)
			if !named[chunk] {
				named[chunk] = true
				wrong = append(wrong, checkChunk(ctx, store, m, i, chunk))
			}
		}
		saved = append(saved, Saved{m.Generation, m.Step, key, m.Digest, m.Size})
	}
	for _, key := range g.chunks {
		if !named[key] {
			orphans = append(orphans, key)
		}
	}
	return saved, orphans, errors.Join(wrong...)
}

// checkChunk reads a chunk through its hash, without keeping it.
func checkChunk(ctx context.Context, store objstore.Store, m Manifest, i int, key string) error {
	r, _, err := store.Get(ctx, key, 0, -1)
	if errors.Is(err, objstore.ErrNotExist) {
		return &MissingError{m.Name(), []int{i}}
	}
	if err != nil {
		return err
	}
	defer r.Close()
	h := sha256.New()
	n, err := io.Copy(h, r)
	if err != nil {
		return fmt.Errorf("chunk %d (%s): %w", i, key, err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); n != m.Chunks[i].Size || got != m.Chunks[i].SHA256 {
		return damagef("checkpoint %s: chunk %d (%s) is damaged: it has %d bytes (want %d) and SHA-256 %s", m.Name(), i, key, n, m.Chunks[i].Size, got)
	}
	return nil
}
