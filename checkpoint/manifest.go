package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"

	"carillon/job"
)

// Version is that of HEAD's and the manifest's format.
const Version = 1

// Manifest says what a checkpoint consists of. Equal plans make equal manifests,
// whoever commits them: nothing of the leader, of nodes or of the time is inside.
type Manifest struct {
	Version      int             `json:"version"`       // Version; Commit fills it in
	StateVersion int             `json:"state_version"` // of the encoded state; Commit fills it in
	Job          job.ID          `json:"job"`
	Identity     string          `json:"identity"`  // of the job, SHA-256 in hex
	BaseHash     string          `json:"base_hash"` // of the frozen base, which is not copied
	DataHash     string          `json:"data_hash"` // of the shard set
	Incarnation  uint64          `json:"incarnation"`
	Generation   uint64          `json:"generation"` // logged restores before it was saved
	Step         uint64          `json:"step"`       // steps done
	Digest       string          `json:"digest"`     // of the training state, SHA-256 in hex
	Updates      uint64          `json:"updates,omitempty"`
	Spec         json.RawMessage `json:"spec,omitempty"`    // job.Spec
	Params       []Param         `json:"params,omitempty"`  // the trainables in flat order, where known
	Eval         *Eval           `json:"eval,omitempty"`    // the newest evaluation
	Verdict      *Verdict        `json:"verdict,omitempty"` // on all evaluations so far, with load_best_model_at_end
	Size         int64           `json:"size"`              // bytes of the encoded state
	Chunks       []Chunk         `json:"chunks"`            // in order

	key string // under which it is stored, once it was read
}

// Param is a trainable tensor.
type Param struct {
	Name  string `json:"name"`
	Shape []int  `json:"shape"`
}

// Eval is the summed tail of an evaluation (allreduce.Tail).
type Eval struct {
	Step uint64   `json:"step"`
	Tail [8]int64 `json:"tail"`
}

// Chunk is one of Ranges(Size).
type Chunk struct {
	Index  int    `json:"index"`
	SHA256 string `json:"sha256"` // hex
	Size   int64  `json:"size"`   // bytes
}

// Name is the checkpoint's name in the store.
func (m Manifest) Name() string { return Name(m.Generation, m.Step) }

// Key is where a manifest that was read is stored.
func (m Manifest) Key() string { return m.key }

// Validate says what is wrong with a manifest.
func (m Manifest) Validate() error {
	switch {
	case m.Version != Version || m.StateVersion != stateVersion:
		return fmt.Errorf("manifest: versions %d and %d of the formats are not known; this program knows %d and %d", m.Version, m.StateVersion, Version, stateVersion)
	case m.Job == "":
		return errors.New("manifest: it names no job")
	case !isSum(m.Digest):
		return fmt.Errorf("manifest: digest %q is no SHA-256 in hex", m.Digest)
	}
	return errors.Join(m.checkChunks(), m.checkParams())
}

func (m Manifest) checkChunks() error {
	// The number of ranges is computed before they are made: Size may be anything.
	if m.Size < 0 || (m.Size+ChunkSize-1)/ChunkSize != int64(len(m.Chunks)) {
		return fmt.Errorf("manifest: %d chunks do not make up a state of %d bytes", len(m.Chunks), m.Size)
	}
	for i, r := range Ranges(m.Size) {
		if c := m.Chunks[i]; c.Index != i || c.Size != r.To-r.From || !isSum(c.SHA256) {
			return fmt.Errorf("manifest: chunk %d is {index %d, size %d, sha256 %q}; want index %d, size %d and a SHA-256 in hex", i, c.Index, c.Size, c.SHA256, i, r.To-r.From)
		}
	}
	return nil
}

func (m Manifest) checkParams() error {
	if len(m.Params) == 0 {
		return nil
	}
	total := 0
	for _, p := range m.Params {
		n := 1
		for _, d := range p.Shape {
			if d < 0 || (d > 0 && n > int(m.Size)/d) {
				return fmt.Errorf("manifest: shape %v of %q is not possible in %d bytes", p.Shape, p.Name, m.Size)
			}
			n *= d
		}
		total += n
	}
	if StateSize(total) != m.Size {
		return fmt.Errorf("manifest: its tensors have %d elements, which make a state of %d bytes, not %d", total, StateSize(total), m.Size)
	}
	return nil
}

// encode returns a manifest's bytes and its key.
func (m Manifest) encode() (b []byte, key string, err error) {
	if err := m.Validate(); err != nil {
		return nil, "", err
	}
	if b, err = json.Marshal(m); err != nil {
		return nil, "", fmt.Errorf("manifest: %w", err)
	}
	return b, manifestKey(m.Job, m.Generation, m.Step, sumOf(b)), nil
}

// parseManifest reads the manifest of a key, whose hash its bytes must have.
func parseManifest(key string, b []byte) (m Manifest, err error) {
	sum, ok := manifestSum(key)
	if !ok {
		return m, fmt.Errorf("%s: no manifest has such a name", key)
	}
	if got := sumOf(b); got != sum {
		return m, damagef("%s: it is damaged: the SHA-256 of its %d bytes is %s", key, len(b), got)
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("%s: %w", key, err)
	}
	if err := m.Validate(); err != nil {
		return m, fmt.Errorf("%s: %w", key, err)
	}
	if want := manifestKey(m.Job, m.Generation, m.Step, sum); key != want {
		return m, fmt.Errorf("%s: by what it says its name should be %s", key, want)
	}
	m.key = key
	return m, nil
}
