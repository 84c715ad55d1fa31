package checkpoint

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"carillon/job"
	"carillon/objstore"
)

// The errors on which a leader acts.
var (
	// ErrDeposed: HEAD was written under a newer incarnation or term.
	ErrDeposed = errors.New("a newer leader writes HEAD")
	// ErrVoid: HEAD names a later step, or a later generation.
	ErrVoid = errors.New("what is saved is newer")
)

// Head names the newest checkpoint of a job. (Incarnation, Term) never falls; Step
// never falls within a Generation.
type Head struct {
	Version     int    `json:"version"`
	Incarnation uint64 `json:"incarnation"` // of the ledger that wrote it
	Term        uint64 `json:"term"`        // of the leader that wrote it
	Generation  uint64 `json:"generation"`  // logged restores so far
	Step        uint64 `json:"step"`        // steps done in what it names
	Manifest    string `json:"manifest"`    // its key; "" if nothing is saved yet
	Nonce       string `json:"nonce"`       // new in each write: tells one's own from another's
}

// String says the order in which heads follow one another.
func (h Head) String() string {
	return fmt.Sprintf("incarnation %d term %d generation %d step %d", h.Incarnation, h.Term, h.Generation, h.Step)
}

// ReadHead returns HEAD and its tag, or objstore.ErrNotExist.
func ReadHead(ctx context.Context, store objstore.Store, id job.ID) (Head, string, error) {
	b, tag, err := objstore.ReadAll(ctx, store, HeadKey(id))
	if err != nil {
		return Head{}, "", err
	}
	h, err := parseHead(b)
	if err != nil {
		return Head{}, "", fmt.Errorf("%s: %w", HeadKey(id), err)
	}
	return h, tag, nil
}

func parseHead(b []byte) (h Head, err error) {
	if err := json.Unmarshal(b, &h); err != nil {
		return Head{}, err
	}
	if h.Version != Version {
		return Head{}, fmt.Errorf("version %d of the format is not known; this program knows %d", h.Version, Version)
	}
	if _, ok := manifestSum(h.Manifest); h.Manifest != "" && !ok {
		return Head{}, fmt.Errorf("%q is the name of no manifest", h.Manifest)
	}
	return h, nil
}

// patientSwaps is how often a swap by the tag that was just read may be refused.
const patientSwaps = 10

// move swaps HEAD to what next makes of it ("" for the tag of an absent one). A
// swap whose reply was lost is known by its nonce; one that lost a race is decided
// anew. next returns the head it was given where nothing is to be done.
func move(ctx context.Context, store objstore.Store, id job.ID, next func(now Head) (Head, error)) (Head, error) {
	var random [16]byte
	rand.Read(random[:]) // never fails (crypto/rand)
	nonce := hex.EncodeToString(random[:])
	last, refused := "", 0
	for {
		now, tag, err := ReadHead(ctx, store, id)
		if err != nil && !errors.Is(err, objstore.ErrNotExist) {
			return Head{}, err
		}
		if now.Nonce == nonce {
			return now, nil
		}
		to, err := next(now)
		if err != nil || to == now {
			return now, err
		}
		to.Version, to.Nonce = Version, nonce
		b, err := json.Marshal(to)
		if err != nil {
			return Head{}, fmt.Errorf("%s: %w", HeadKey(id), err)
		}
		switch _, err = store.Swap(ctx, HeadKey(id), tag, b); {
		case err == nil:
			return to, nil
		case !errors.Is(err, objstore.ErrStale):
			return Head{}, err
		case tag != last:
			last, refused = tag, 1
		case refused == patientSwaps: // nobody else moves it
			return Head{}, fmt.Errorf("%s: the store gives it the tag %q and does not swap by that: does something between change ETags?", HeadKey(id), tag)
		default:
			refused++
		}
	}
}

// Claim takes a job's store for a ledger that does not know the incarnation in its
// HEAD: a new job, or one whose ledger was lost. The new HEAD has the next
// incarnation, from 1 on, and still names what it named. Whoever held the store
// before is refused from now on.
func Claim(ctx context.Context, store objstore.Store, id job.ID, term uint64) (Head, error) {
	return move(ctx, store, id, func(now Head) (Head, error) {
		now.Incarnation++
		now.Term = term
		return now, nil
	})
}

// Commit makes m the newest checkpoint of its job: it makes sure that all chunks
// are stored (else a *MissingError), stores the manifest, and moves HEAD to it.
// Of by, incarnation and term count. ErrDeposed and ErrVoid say that m must not
// become HEAD. Committing the same plan again, under whatever term, is success.
func Commit(ctx context.Context, store objstore.Store, by Head, m Manifest) (Head, error) {
	m.Version, m.StateVersion = Version, stateVersion
	b, key, err := m.encode()
	if err != nil {
		return Head{}, err
	}
	by.Generation, by.Step, by.Manifest = m.Generation, m.Step, key
	now, _, err := ReadHead(ctx, store, m.Job)
	if err != nil && !errors.Is(err, objstore.ErrNotExist) {
		return Head{}, err
	}
	if err := by.follows(now); err != nil { // before anything is written
		return now, err
	}
	if done, err := m.saved(ctx, store, now, key); done || err != nil {
		return now, err
	}
	if err := stored(ctx, store, m); err != nil {
		return Head{}, err
	}
	if err := put(ctx, store, key, b); err != nil {
		return Head{}, err
	}
	return move(ctx, store, m.Job, func(now Head) (Head, error) {
		if err := by.follows(now); err != nil {
			return now, err
		}
		if done, err := m.saved(ctx, store, now, key); done || err != nil {
			return now, err
		}
		return by, nil
	})
}

// saved says whether HEAD names m already, or the same state under another
// manifest (saved before a ledger was lost). Another state of the same step is an
// alarm: the same job gives the same bits.
func (m Manifest) saved(ctx context.Context, store objstore.Store, now Head, key string) (bool, error) {
	if now.Manifest == "" || now.Generation != m.Generation || now.Step != m.Step {
		return false, nil
	}
	if now.Manifest == key {
		return true, nil
	}
	other, err := readManifest(ctx, store, now.Manifest)
	if err == nil && other.Digest != m.Digest {
		err = fmt.Errorf("job %s step %d: two digests: %s is saved, and now %s was to be", m.Job, m.Step, other.Digest, m.Digest)
	}
	return err == nil, err
}

// Restore moves HEAD back to an older checkpoint, whose manifest was read. The ledger has logged it first:
// the generation of by is new, and entries of older ones are void from then on.
func Restore(ctx context.Context, store objstore.Store, by Head, m Manifest) (Head, error) {
	key := m.key
	if _, err := readManifest(ctx, store, key); err != nil {
		return Head{}, err
	}
	by.Step, by.Manifest = m.Step, key
	return move(ctx, store, m.Job, func(now Head) (Head, error) {
		if now.Manifest == key && now.Generation == by.Generation {
			return now, nil
		}
		if by.Generation <= now.Generation {
			return now, fmt.Errorf("restore step %d: HEAD is at %v, so generation %d is not new: %w", m.Step, now, by.Generation, ErrVoid)
		}
		return by, by.follows(now)
	})
}

// follows says why h must not replace now.
func (h Head) follows(now Head) error {
	switch {
	case cmp.Or(cmp.Compare(h.Incarnation, now.Incarnation), cmp.Compare(h.Term, now.Term)) < 0:
		return fmt.Errorf("move HEAD from %v to %v: %w", now, h, ErrDeposed)
	case cmp.Or(cmp.Compare(h.Generation, now.Generation), cmp.Compare(h.Step, now.Step)) < 0:
		return fmt.Errorf("move HEAD from %v to %v: %w", now, h, ErrVoid)
	}
	return nil
}
