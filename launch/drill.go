package launch

import (
	"fmt"
	"slices"
	"strings"

	"carillon/job"
)

// nodeNames are the processes of a job that train: n1 to nN, and the joiners of
// drills.
func nodeNames(spec job.Spec, drills []job.Drill) []string {
	var names []string
	for i := range spec.Nodes {
		names = append(names, fmt.Sprintf("n%d", i+1))
	}
	for _, d := range drills {
		if d.Kind == job.Join {
			names = append(names, d.Target)
		}
	}
	return names
}

// checkDrills refuses drills that can never fire: of a node that there is not, of
// a joiner that is there already, or after the last step, where the recipe says
// which that is.
func checkDrills(spec job.Spec, drills []job.Drill) error {
	first := nodeNames(spec, nil)
	all := nodeNames(spec, drills)
	var joined []string
	for _, d := range drills {
		last := uint64(spec.MaxSteps)
		if d.Kind == job.Join && last > 0 {
			last-- // there must be a step to join in
		}
		switch {
		case d.Kind == job.Join && slices.Contains(first, d.Target):
			return fmt.Errorf("drill %v: %s is there from the start; let another join, such as n%d", d, d.Target, spec.Nodes+1)
		case d.Kind == job.Join && slices.Contains(joined, d.Target):
			return fmt.Errorf("drill %v: %s joins already in another drill", d, d.Target)
		case d.Kind == job.Kill && d.Target != job.Coordinator && !slices.Contains(all, d.Target):
			return fmt.Errorf("drill %v: there is no node %s, only %s", d, d.Target, strings.Join(all, ", "))
		case spec.MaxSteps > 0 && d.Step > last:
			return fmt.Errorf("drill %v: it would never fire, in a job of %d steps; want a step up to %d", d, spec.MaxSteps, last)
		}
		if d.Kind == job.Join {
			joined = append(joined, d.Target)
		}
	}
	return nil
}
