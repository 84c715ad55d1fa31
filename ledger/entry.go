package ledger

import (
	"encoding/json"
	"fmt"
	"time"

	"carillon/checkpoint"
	"carillon/job"
	"carillon/roster"
)

// Version is the version of entries and of the state's snapshots.
const Version = 1

// Entry is one thing that was agreed on. Exactly one of the pointers is set.
type Entry struct {
	Version int       `json:"version"`
	Time    time.Time `json:"time"` // by the proposer's clock
	Job     job.ID    `json:"job"`

	Submit   *Submit        `json:"submit,omitempty"`
	Claim    *Claim         `json:"claim,omitempty"`
	Probe    *Probe         `json:"probe,omitempty"`
	Roster   *roster.Roster `json:"roster,omitempty"`
	Judge    *Eval          `json:"judge,omitempty"`
	Complete *Checkpoint    `json:"complete,omitempty"`
	Restore  *Restore       `json:"restore,omitempty"`
	Remove   *Remove        `json:"remove,omitempty"`
	Drill    *job.Drill     `json:"drill,omitempty"`
	Stop     *Stop          `json:"stop,omitempty"`
	Vacate   *Vacate        `json:"vacate,omitempty"`
	End      *End           `json:"end,omitempty"`

	Redeem *Redeem `json:"redeem,omitempty"` // of no job
	Revoke *Revoke `json:"revoke,omitempty"` // of no job
}

// Submit makes a job known, or more of it: fields that are empty stay as they
// are, and what names the job does not change. A job that has ended is reopened.
type Submit struct {
	Spec     json.RawMessage `json:"spec,omitempty"`
	Identity string          `json:"identity,omitempty"`
	DataHash string          `json:"data_hash,omitempty"`
	BaseHash string          `json:"base_hash,omitempty"`
	Params   json.RawMessage `json:"params,omitempty"` // the trainables, as manifests list them
	Steps    uint64          `json:"steps,omitempty"`
	Store    string          `json:"store,omitempty"`
	Model    string          `json:"model,omitempty"` // hash of the base model in the store
	Drills   []job.Drill     `json:"drills,omitempty"`
}

// Claim says that the job's store knows this ledger under an incarnation, and
// what the store held then.
type Claim struct {
	Incarnation uint32              `json:"incarnation"`
	Generation  uint64              `json:"generation"`
	Verdict     *checkpoint.Verdict `json:"verdict,omitempty"` // of the manifest that HEAD named
}

// Probe fixes the kind of compute backend that a job runs on.
type Probe struct {
	Probe string     `json:"probe"` // hex
	Node  job.NodeID `json:"node"`  // who measured it first
	Host  string     `json:"host"`
}

// Checkpoint says that every chunk of a state is stored. It holds all that a
// manifest needs, so that any later leader can write it.
type Checkpoint struct {
	Name       string  `json:"name"` // in the store
	Generation uint64  `json:"generation"`
	Step       uint64  `json:"step"`
	Digest     string  `json:"digest"` // of the state, hex
	Size       int64   `json:"size"`   // bytes of the state
	Chunks     []Chunk `json:"chunks"` // in order
	Eval       *Eval   `json:"eval,omitempty"`

	// Verdict is that of the job when this became whole; Apply fills it in.
	Verdict *checkpoint.Verdict `json:"verdict,omitempty"`
}

// Eval is an evaluation, as the summed tail. As an entry it is one on which the
// choice of the best state depends.
type Eval struct {
	Step uint64   `json:"step"`
	Tail [8]int64 `json:"tail"`
}

// Chunk is a piece of a state, by its content.
type Chunk struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// Restore makes a job go on from an older checkpoint. Whatever was completed
// before, and not restored, is void from here on.
type Restore struct {
	Name       string `json:"name"`       // in the store, of what is restored
	Generation uint64 `json:"generation"` // the new one: the old one + 1
	Step       uint64 `json:"step"`

	Verdict *checkpoint.Verdict `json:"verdict,omitempty"` // of what is restored
}

// Remove names checkpoints that are going to be removed
// from the store. They are never written or restored again.
type Remove struct {
	Names []string `json:"names"`
}

// Stop asks for the end of a job after the step under way, with a checkpoint.
type Stop struct {
	Reason string `json:"reason"`
}

// Vacate says that everybody has left a job, and that it is saved: whoever comes goes
// on with it.
type Vacate struct{}

// End says that a job is over: its last state is saved, or it cannot go on.
type End struct {
	Step  uint64 `json:"step,omitempty"`  // the last one
	Error string `json:"error,omitempty"` // "" when it ended well
}

// Encode makes an entry bytes for the log.
func (e Entry) Encode() ([]byte, error) {
	e.Version = Version
	return json.Marshal(e)
}

// Decode is the inverse of Encode. It refuses entries of another version.
func Decode(data []byte) (Entry, error) {
	var e Entry
	if err := json.Unmarshal(data, &e); err != nil {
		return Entry{}, fmt.Errorf("ledger entry: %w", err)
	}
	if e.Version != Version {
		return Entry{}, fmt.Errorf("ledger entry has version %d, this program reads %d; run one version of carillon on all coordinators", e.Version, Version)
	}
	return e, nil
}
