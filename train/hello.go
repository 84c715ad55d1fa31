package train

import (
	"fmt"
	"slices"
	"strings"

	"carillon/job"
)

// Protocol is the version of what trainers say to each other. Nodes of two
// versions do not train together.
const Protocol = 2

// Hello is what a node says of itself to the other members of a roster. It is
// said with a roster's number only after every older sum has ended here, so the
// step in it can no longer rise except by catching up.
type Hello struct {
	Protocol  int              `json:"protocol"`
	Node      job.NodeID       `json:"node"`
	Roster    job.RosterNumber `json:"roster"`
	Identity  string           `json:"identity"`
	Probe     string           `json:"probe,omitempty"`
	Step      uint64           `json:"step"`
	Digest    string           `json:"digest"`
	Evaluated uint64           `json:"evaluated"` // the last step after which an evaluation ended here
	Final     uint64           `json:"final"`     // the job's last step, as far as this node was told
	Saved     uint64           `json:"saved"`     // the step that HEAD names, as far as this node was told
}

// A verdict says what to do on the hellos that have come.
type verdict struct {
	do     action
	from   int    // catchUp: index of the member to catch up from
	reason string // for people
}

type action uint8

const (
	wait    action = iota // for hellos of this roster
	catchUp               // with member from
	restore               // from the newest checkpoint: nobody stands where it does
	proceed               // all stand at one state
)

// decide is the rule of the hello. mine is this node's own; others has one
// element a member (this node's own is ignored), the zero Hello where none has
// come yet. It errs where no waiting would help: two states under one name.
//
// The highest step wins, and who is behind catches up and says hello again (V3).
func decide(mine Hello, self int, others []Hello) (verdict, error) {
	best, missing := -1, []string(nil)
	for i, h := range others {
		switch {
		case i == self:
			continue
		case h.Node == "" || h.Roster != mine.Roster:
			missing = append(missing, fmt.Sprintf("rank %d", i))
			continue
		}
		if err := agree(mine, h); err != nil {
			return verdict{}, err
		}
		if h.Step > mine.Step && (best < 0 || h.Step > others[best].Step) {
			best = i
		}
	}
	switch saved := newestSaved(mine, others); {
	case best >= 0 && others[best].Step >= saved:
		return verdict{catchUp, best, fmt.Sprintf("%v is at step %d, this node at %d", others[best].Node, others[best].Step, mine.Step)}, nil
	case len(missing) > 0:
		return verdict{do: wait, reason: "no hello yet from " + strings.Join(missing, ", ")}, nil
	case saved > mine.Step:
		return verdict{do: restore, reason: fmt.Sprintf("everybody is behind the checkpoint of step %d", saved)}, nil
	case slices.ContainsFunc(others, func(h Hello) bool { return h.Node != "" && h.Node != mine.Node && h.Step < mine.Step }):
		return verdict{do: wait, reason: "others are catching up"}, nil
	}
	return verdict{do: proceed}, nil
}

// agree checks what two members of one roster must have in common.
func agree(a, b Hello) error {
	switch {
	case a.Protocol != b.Protocol:
		return fmt.Errorf("%v speaks protocol %d, %v protocol %d; run one version of carillon on all nodes", a.Node, a.Protocol, b.Node, b.Protocol)
	case a.Identity != b.Identity:
		return fmt.Errorf("%v trains job identity %.16s, %v %.16s; start them with the same recipe, base model and data", a.Node, a.Identity, b.Node, b.Identity)
	case a.Step == b.Step && a.Digest != b.Digest:
		return &SplitError{Step: a.Step, A: a.Node, B: b.Node, DigestA: a.Digest, DigestB: b.Digest}
	}
	return nil
}

// SplitError says that two nodes hold different bits at one step. Nothing mends
// that: one of them computes or remembers wrongly.
type SplitError struct {
	Step             uint64
	A, B             job.NodeID
	DigestA, DigestB string
}

func (e *SplitError) Error() string {
	return fmt.Sprintf("step %d has digest %.16s on %v and %.16s on %v: one of the two machines computes or remembers wrongly", e.Step, e.DigestA, e.A, e.DigestB, e.B)
}

func newestSaved(mine Hello, others []Hello) uint64 {
	saved := mine.Saved
	for _, h := range others {
		saved = max(saved, h.Saved)
	}
	return saved
}
