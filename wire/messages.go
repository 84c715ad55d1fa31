package wire

import (
	"encoding/json"

	"carillon/job"
	"carillon/roster"
)

// Version is the version of the control plane's messages, and of the frames of
// the data plane. Processes of two versions refuse each other.
const Version = 2

// StepRecord is what every node reports of a finished step; its numbers are
// equal on all nodes, except for the times and the bytes.
type StepRecord struct {
	Step         uint64           `json:"step"`
	Epoch        float64          `json:"epoch"`
	Tail         [8]int64         `json:"tail"` // allreduce.Tail, summed over all lanes
	EvalTail     *[8]int64        `json:"eval_tail,omitempty"`
	Norm         float64          `json:"norm"` // of the gradient, before clipping
	LearningRate float64          `json:"learning_rate"`
	Digest       string           `json:"digest"` // hex
	Seconds      float64          `json:"seconds"`
	SumSeconds   float64          `json:"sum_seconds"` // of Seconds, spent adding up
	BytesSent    uint64           `json:"bytes_sent"`  // by this node, in this step
	Roster       job.RosterNumber `json:"roster"`
	Nodes        int              `json:"nodes"`
}

// Evaluation is the summed tail of the held-out loss after a step.
type Evaluation struct {
	Step uint64   `json:"step"`
	Tail [8]int64 `json:"tail"`
}

// Whole is the Index of a Part that is no chunk: it says that its sender keeps a
// copy of the whole state, of Size bytes, and can store any chunk of it.
const Whole = -1

// Part is a chunk of a checkpoint that a node has stored.
type Part struct {
	Generation uint64 `json:"generation"`
	Step       uint64 `json:"step"`
	Digest     string `json:"digest"` // of the state, hex
	Index      int    `json:"index"`  // which chunk, or Whole
	SHA256     string `json:"sha256"` // of the chunk, hex
	Size       int64  `json:"size"`   // bytes
}

// Beat is a node's report about itself. It holds everything every time, so that
// a lost beat, or a new leader, needs no repair.
type Beat struct {
	Version   int              `json:"version"`  // Version
	Protocol  int              `json:"protocol"` // train.Protocol
	Job       job.ID           `json:"job"`      // "": a machine that is at no job, or whose nodes are
	ID        job.NodeID       `json:"id"`
	Name      string           `json:"name"`
	Addr      string           `json:"addr"` // where others reach it, as Links.Addr gives it
	Host      string           `json:"host"`
	PID       int              `json:"pid"`
	Roster    job.RosterNumber `json:"roster"` // the one it stands in
	Step      uint64           `json:"step"`   // steps done
	Digest    string           `json:"digest"` // of the state after Step, hex
	Failed    bool             `json:"failed,omitempty"`
	Ready     bool             `json:"ready,omitempty"`
	Warm      bool             `json:"warm,omitempty"`
	Leaving   bool             `json:"leaving,omitempty"`
	Finished  bool             `json:"finished,omitempty"`
	Holding   uint64           `json:"holding,omitempty"`    // rank 0 waits after this step for a drill's joiner
	JoinAfter uint64           `json:"join_after,omitempty"` // a drill's joiner: the step after which to let it in
	Suspects  []job.NodeID     `json:"suspects,omitempty"`
	Probe     string           `json:"probe,omitempty"`    // kind of the compute backend, hex
	Identity  string           `json:"identity,omitempty"` // of the job, hex
	Records   []StepRecord     `json:"records,omitempty"`  // not yet acknowledged by Answer.Recorded
	Eval      *Evaluation      `json:"eval,omitempty"`     // the last that ended here
	Parts     []Part           `json:"parts,omitempty"`
	LeftOut   uint64           `json:"left_out,omitempty"` // last step whose checkpoint this node had no time to keep
	Devices   []string         `json:"devices,omitempty"`  // of a machine
	AtRisk    bool             `json:"at_risk,omitempty"`  // a machine that its cloud may take away soon
	State     string           `json:"state,omitempty"`    // one word for people: installing, compiling, ready, …
	Error     string           `json:"error,omitempty"`    // what ended this node, if something did
}

// Answer is what a coordinator answers to a beat. One that does not lead says
// who does, and gives the newest roster that it knows.
type Answer struct {
	Version    int            `json:"version"`
	Leader     bool           `json:"leader"`
	LeaderAddr string         `json:"leader_addr,omitempty"` // "" while there is none
	Job        *JobInfo       `json:"job,omitempty"`
	Roster     *roster.Roster `json:"roster,omitempty"`      // when newer than the beat's
	Recorded   uint64         `json:"recorded"`              // records are written through this step
	Released   bool           `json:"released,omitempty"`    // a leaver may exit
	SavedStep  uint64         `json:"saved_step"`            // the step that HEAD names
	Generation uint64         `json:"generation"`            // logged restores so far
	WantStep   uint64         `json:"want_step,omitempty"`   // of WantChunks
	WantChunks []int          `json:"want_chunks,omitempty"` // chunks of a checkpoint to store now
	Stop       bool           `json:"stop,omitempty"`        // rank 0: announce a save and the end
	Save       bool           `json:"save,omitempty"`        // rank 0: announce a save
	HoldAfter  uint64         `json:"hold_after,omitempty"`  // rank 0, in drills: start no step after this one while Hold
	Hold       bool           `json:"hold,omitempty"`        // the joiner of HoldAfter is not warm yet
	Refused    string         `json:"refused,omitempty"`     // why this node can never take part
	Drain      bool           `json:"drain,omitempty"`       // to a machine: leave
	Revoked    []string       `json:"revoked,omitempty"`     // names that are refused, as role/name
}

// JobInfo is what a node must know of its job. Fields are filled in as they
// become known: a node compiles from Spec while the shards are being built.
type JobInfo struct {
	ID          job.ID          `json:"id"`
	Spec        json.RawMessage `json:"spec,omitempty"` // job.Spec
	Identity    string          `json:"identity,omitempty"`
	DataHash    string          `json:"data_hash,omitempty"`
	BaseHash    string          `json:"base_hash,omitempty"`
	Params      json.RawMessage `json:"params,omitempty"` // []checkpoint.Param: the trainables in flat order
	Steps       uint64          `json:"steps,omitempty"`  // optimizer updates of the whole job
	Store       string          `json:"store,omitempty"`  // where the objects are
	Model       string          `json:"model,omitempty"`  // hash of the base model in the store; "": the spec's folder is there
	Incarnation uint32          `json:"incarnation,omitempty"`
	Generation  uint64          `json:"generation,omitempty"`
	Drills      []job.Drill     `json:"drills,omitempty"`
}
