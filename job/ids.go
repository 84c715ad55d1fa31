package job

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// ID names a job.
type ID string

// NodeID names one life of a node: its name and 64 random bits, new at every
// start of its process. So no roster from before names a restarted node.
type NodeID string

// NewNodeID makes the id of a node that starts now.
func NewNodeID(name string) NodeID {
	var b [8]byte
	rand.Read(b[:]) // never fails (crypto/rand)
	return NodeID(name + "-" + hex.EncodeToString(b[:]))
}

// Name returns the name that the id was made from.
func (n NodeID) Name() string {
	if i := strings.LastIndexByte(string(n), '-'); i >= 0 {
		return string(n[:i])
	}
	return string(n)
}

// RosterNumber orders rosters: by the incarnation of the ledger that made them,
// then by count.
type RosterNumber struct {
	Incarnation uint32 `json:"incarnation"`
	Count       uint32 `json:"count"`
}

// Less says whether n comes before o.
func (n RosterNumber) Less(o RosterNumber) bool {
	if n.Incarnation != o.Incarnation {
		return n.Incarnation < o.Incarnation
	}
	return n.Count < o.Count
}

// IsZero says whether n is no roster's number.
func (n RosterNumber) IsZero() bool { return n == RosterNumber{} }

func (n RosterNumber) String() string { return fmt.Sprintf("%d.%d", n.Incarnation, n.Count) }

// At is a place in a run: which job, under which roster, after how many steps,
// on which node. Errors and log lines carry it whole.
type At struct {
	Job    ID
	Roster RosterNumber
	Step   uint64
	Node   NodeID
}

// The keys of log lines.
const (
	KeyAt     = "at"
	KeyJob    = "job"
	KeyRoster = "roster"
	KeyStep   = "step"
	KeyNode   = "node"
)

func (a At) String() string {
	return fmt.Sprintf("job %s roster %v step %d node %s", a.Job, a.Roster, a.Step, a.Node)
}

// LogValue gives the four fields one by one.
func (a At) LogValue() slog.Value {
	return slog.GroupValue(slog.String(KeyJob, string(a.Job)), slog.String(KeyRoster, a.Roster.String()),
		slog.Uint64(KeyStep, a.Step), slog.String(KeyNode, string(a.Node)))
}

// placed is an error that carries its place.
type placed struct {
	at  At
	op  string
	err error
}

func (p *placed) Error() string { return fmt.Sprintf("%v: %s: %v", p.at, p.op, p.err) }
func (p *placed) Unwrap() error { return p.err }

// Wrap adds the place and what was being done to err, unless it is nil or some
// error inside has a place already.
func (a At) Wrap(op string, err error) error {
	if err == nil || hasPlace(err) {
		return err
	}
	return &placed{a, op, err}
}

func hasPlace(err error) bool {
	var p *placed
	return errors.As(err, &p)
}
