package export

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"carillon/job"
)

// noteFile is what an adapter of ours says beside what its format has a place for.
// Other libraries leave it alone.
const noteFile = "carillon.json"

// noteVersion is the version of its form.
const noteVersion = 1

type note struct {
	Version int      `json:"version"`
	Base    string   `json:"base_sha256"` // the base hash
	Labels  []string `json:"labels,omitempty"`
}

// writeNote writes the note of an adapter whose base is known by its hash.
func (a AdapterInfo) writeNote(dir string) error {
	if a.BaseSHA256 == "" {
		return nil
	}
	return writeConfig(filepath.Join(dir, noteFile), note{noteVersion, a.BaseSHA256, a.Spec.Labels})
}

// readNote adds to an adapter what its note says, if it has one.
func (a *AdapterInfo) readNote(dir string) error {
	data, err := os.ReadFile(filepath.Join(dir, noteFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	n, err := parseNote(data)
	if err == nil && len(n.Labels) > 0 && a.Spec.TaskType == job.SeqCls && len(n.Labels) != len(a.Spec.Labels) {
		err = fmt.Errorf("%d labels for a head of %d", len(n.Labels), len(a.Spec.Labels))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", noteFile, err)
	}
	a.BaseSHA256 = n.Base
	if a.Spec.TaskType == job.SeqCls && len(n.Labels) > 0 {
		a.Spec.Labels = n.Labels
	}
	return nil
}

func parseNote(data []byte) (n note, err error) {
	if err := json.Unmarshal(data, &n); err != nil {
		return n, err
	}
	if n.Version != noteVersion {
		return n, fmt.Errorf("version %d; this program reads %d", n.Version, noteVersion)
	}
	if sum, err := hex.DecodeString(n.Base); err != nil || len(sum) != sha256.Size {
		return n, fmt.Errorf("base_sha256 is %q; want a SHA-256 in hex", n.Base)
	}
	return n, nil
}

// CheckBase says that the base model in dir, with this base hash, is not the one that
// the adapter was trained on, where that is known.
func (a AdapterInfo) CheckBase(dir string, hash [sha256.Size]byte) error {
	if got := hex.EncodeToString(hash[:]); a.BaseSHA256 != "" && a.BaseSHA256 != got {
		return fmt.Errorf("it was trained on the base model %s with hash %.12s…, and %s has %.12s…; name its own base, or remove its %s to use it with this one", a.Base, a.BaseSHA256, dir, got, noteFile)
	}
	return nil
}
