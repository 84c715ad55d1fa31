package job

import (
	"fmt"
	"strconv"
	"strings"
)

// Drill is a failure, or a late arrival, that is rehearsed: at a step that is
// known beforehand.
type Drill struct {
	Kind   string `json:"kind"`   // Kill or Join
	Target string `json:"target"` // a node's name, n1 and up, or Coordinator
	Step   uint64 `json:"step"`   // killed in the middle of it; let in after it
}

// The kinds of drills, and the target that is no node.
const (
	Kill        = "kill"
	Join        = "join"
	Coordinator = "coordinator"
)

func (d Drill) String() string { return fmt.Sprintf("%s=%s@%d", d.Kind, d.Target, d.Step) }

// ParseDrills reads a list such as kill=n2@7,join=n4@12,kill=coordinator@9.
func ParseDrills(s string) ([]Drill, error) {
	var drills []Drill
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		d, err := parseDrill(part)
		if err != nil {
			return nil, fmt.Errorf("drill %q: %w", part, err)
		}
		drills = append(drills, d)
	}
	return drills, nil
}

func parseDrill(s string) (Drill, error) {
	kind, rest, _ := strings.Cut(s, "=")
	target, step, ok := strings.Cut(rest, "@")
	if !ok || (kind != Kill && kind != Join) {
		return Drill{}, fmt.Errorf("want kill=NODE@STEP, kill=coordinator@STEP or join=NODE@STEP, for instance kill=n2@7")
	}
	n, err := strconv.ParseUint(step, 10, 32)
	if err != nil || n == 0 {
		return Drill{}, fmt.Errorf("step %q: want a number from 1", step)
	}
	if target == Coordinator && kind == Join {
		return Drill{}, fmt.Errorf("only nodes join")
	}
	if target != Coordinator && !isNodeName(target) {
		return Drill{}, fmt.Errorf("target %q: want coordinator, or a node such as n2", target)
	}
	return Drill{Kind: kind, Target: target, Step: n}, nil
}

func isNodeName(s string) bool {
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "n"), 10, 16)
	return err == nil && n > 0 && strings.HasPrefix(s, "n")
}
