package checkpoint

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"carillon/job"
	"carillon/objstore"
)

// atOnce is how many objects are read at once.
const atOnce = 4

// MissingError says which chunks of a manifest are not in the store, so that they
// can be asked for again.
type MissingError struct {
	Checkpoint string
	Chunks     []int
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("checkpoint %s: chunks %d are not stored", e.Checkpoint, e.Chunks)
}

// Is makes missing chunks damage, to those who read.
func (e *MissingError) Is(target error) bool { return target == ErrDamaged }

// ErrDamaged is what a checkpoint is that was saved and was not read back as it was.
var ErrDamaged = errors.New("a saved checkpoint is damaged")

// damage is an ErrDamaged that says more.
type damage string

func (d damage) Error() string        { return string(d) }
func (d damage) Is(target error) bool { return target == ErrDamaged }

// errNoManifest is damage too.
const errNoManifest = damage("not stored")

func damagef(format string, args ...any) error { return damage(fmt.Sprintf(format, args...)) }

// Latest returns the manifest that HEAD names. The error is objstore.ErrNotExist
// if, and only if, the job has saved nothing.
func Latest(ctx context.Context, store objstore.Store, id job.ID) (Manifest, error) {
	for {
		h, tag, err := ReadHead(ctx, store, id)
		if err != nil {
			return Manifest{}, err
		}
		if h.Manifest == "" {
			return Manifest{}, fmt.Errorf("job %s has saved nothing yet: %w", id, objstore.ErrNotExist)
		}
		m, err := readManifest(ctx, store, h.Manifest)
		if err == nil {
			return m, nil
		}
		// HEAD may have moved on and what it named have been pruned since.
		if _, now, herr := ReadHead(ctx, store, id); herr != nil || now == tag {
			return Manifest{}, errors.Join(fmt.Errorf("HEAD of job %s: %w", id, err), herr)
		}
	}
}

// Load returns the newest checkpoint's manifest and its encoded state. Unlike
// Latest and ReadState one after the other, it goes on with the next checkpoint
// where the one that it reads is pruned under its hands.
func Load(ctx context.Context, store objstore.Store, id job.ID) (Manifest, []byte, error) {
	for {
		m, err := Latest(ctx, store, id)
		if err != nil {
			return Manifest{}, nil, err
		}
		state, err := ReadState(ctx, store, m)
		if err == nil {
			return m, state, nil
		}
		if now, lerr := Latest(ctx, store, id); lerr != nil || now.Name() == m.Name() {
			return Manifest{}, nil, errors.Join(err, lerr)
		}
	}
}

// Named returns the manifest and the encoded state of a checkpoint that is stored
// under a name.
func Named(ctx context.Context, store objstore.Store, id job.ID, name string) (Manifest, []byte, error) {
	m, err := Find(ctx, store, id, name)
	if err != nil {
		return m, nil, err
	}
	state, err := ReadState(ctx, store, m)
	return m, state, err
}

// Find returns the manifest of the checkpoint with a name.
func Find(ctx context.Context, store objstore.Store, id job.ID, name string) (Manifest, error) {
	if _, _, ok := parseName(name); !ok {
		return Manifest{}, fmt.Errorf("%q is no checkpoint's name, such as %s", name, Name(0, 40))
	}
	groups, err := scan(ctx, store, id)
	if err != nil {
		return Manifest{}, err
	}
	i := slices.IndexFunc(groups, func(g *group) bool { return Name(g.generation, g.step) == name && len(g.manifests) > 0 })
	if i < 0 {
		return Manifest{}, fmt.Errorf("checkpoint %s of job %s is not stored", name, id)
	}
	return readManifest(ctx, store, groups[i].manifests[0])
}

// readManifest reads and verifies a manifest. A missing one is no
// objstore.ErrNotExist here: that would read as "nothing is saved".
func readManifest(ctx context.Context, store objstore.Store, key string) (Manifest, error) {
	b, _, err := objstore.ReadAll(ctx, store, key)
	if errors.Is(err, objstore.ErrNotExist) {
		return Manifest{}, fmt.Errorf("manifest %s is %w", key, errNoManifest)
	}
	if err != nil {
		return Manifest{}, err
	}
	return parseManifest(key, b)
}

// ReadState returns the encoded state of a checkpoint (see DecodeState). Every
// byte is verified.
func ReadState(ctx context.Context, store objstore.Store, m Manifest) ([]byte, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	state := make([]byte, m.Size)
	var missing missing
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, r := range Ranges(m.Size) {
		g.Go(func() error { return missing.note(i, readChunk(ctx, store, m, i, state[r.From:r.To])) })
	}
	if err := g.Wait(); err != nil {
		return nil, fmt.Errorf("checkpoint %s: %w", m.Name(), err)
	}
	return state, missing.err(m)
}

// readChunk fills dst with a chunk and verifies it.
func readChunk(ctx context.Context, store objstore.Store, m Manifest, i int, dst []byte) error {
	key := chunkKey(m.Job, m.Generation, m.Step, m.Chunks[i].SHA256)
	r, info, err := store.Get(ctx, key, 0, -1)
	if err != nil {
		return err
	}
	defer r.Close()
	if info.Size != int64(len(dst)) {
		return damagef("chunk %d (%s) is damaged: it has %d bytes, want %d", i, key, info.Size, len(dst))
	}
	if _, err := io.ReadFull(r, dst); err != nil {
		return fmt.Errorf("chunk %d (%s): %w", i, key, err)
	}
	if got := sumOf(dst); got != m.Chunks[i].SHA256 {
		return damagef("chunk %d (%s) is damaged: its SHA-256 is %s", i, key, got)
	}
	return nil
}

// stored makes sure that all chunks of m are in the store, with the right size.
// Their names are their hashes, so that is enough.
func stored(ctx context.Context, store objstore.Store, m Manifest) error {
	var missing missing
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, c := range m.Chunks {
		g.Go(func() error {
			r, info, err := store.Get(ctx, chunkKey(m.Job, m.Generation, m.Step, c.SHA256), 0, 0)
			if err != nil {
				return missing.note(i, err)
			}
			if err := r.Close(); err != nil || info.Size != c.Size {
				return errors.Join(fmt.Errorf("chunk %d has %d bytes in the store, want %d", i, info.Size, c.Size), err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("checkpoint %s: %w", m.Name(), err)
	}
	return missing.err(m)
}

// missing collects, from several goroutines, which chunks are not there.
type missing struct {
	mu     sync.Mutex // guards the fields below
	chunks []int
}

// note keeps in mind that a chunk does not exist, and passes other errors on.
func (l *missing) note(chunk int, err error) error {
	if !errors.Is(err, objstore.ErrNotExist) {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.chunks = append(l.chunks, chunk)
	return nil
}

func (l *missing) err(m Manifest) error {
	if len(l.chunks) == 0 {
		return nil
	}
	slices.Sort(l.chunks)
	return &MissingError{m.Name(), l.chunks}
}
