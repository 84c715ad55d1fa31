package guide

import (
	"fmt"
	"math"
	"slices"
)

// Advice is which technique to take, and why, in two sentences.
type Advice struct {
	Technique string `json:"technique"`
	Reason    string `json:"reason"`
}

// noise is the least difference in quality that is taken for one: half a point of
// accuracy, half a percent of a loss. A table whose runs differ more has more.
const noise = 0.005

// Advise decides which technique to take: of those whose quality cannot be told
// from the best one's, the one that takes the least time, and the smaller file
// where that cannot be told apart either. If none beats what needs no training,
// that is the advice.
func (t Table) Advise() Advice {
	trained, anchors := t.split()
	if len(trained) == 0 {
		return Advice{Reason: "No technique could be run. The rows say why."}
	}
	best := slices.MaxFunc(trained, t.compare)
	if len(anchors) > 0 {
		if a := slices.MaxFunc(anchors, t.compare); !t.better(best, a) {
			return Advice{a.Technique, fmt.Sprintf("Take %s: no technique is better than its %s of %.4f (the best, %s, has %.4f). More data, more steps or another learning rate may change that.",
				a.Technique, t.Metric, a.Quality, best.Technique, best.Quality)}
		}
	}
	level := slices.DeleteFunc(slices.Clone(trained), func(r Row) bool { return t.better(best, r) })
	choice := slices.MinFunc(level, cheaper)
	return Advice{choice.Technique, t.reason(choice, best, len(level))}
}

// split returns the rows that were run, trained ones and anchors.
func (t Table) split() (trained, anchors []Row) {
	for _, r := range t.Rows {
		switch {
		case r.Failed != "" || math.IsNaN(r.Quality):
		case r.Anchor:
			anchors = append(anchors, r)
		default:
			trained = append(trained, r)
		}
	}
	return trained, anchors
}

// compare orders rows by quality, the worse first.
func (t Table) compare(a, b Row) int {
	d := a.Quality - b.Quality
	if !t.Higher {
		d = -d
	}
	switch {
	case d < 0:
		return -1
	case d > 0:
		return 1
	}
	return 0
}

// better says whether a is better than b by more than chance: by more than noise,
// and than half of what the runs of the two differ by.
func (t Table) better(a, b Row) bool {
	least := noise
	if !t.Higher {
		least *= math.Abs(b.Quality)
	}
	return t.compare(a, b) > 0 && math.Abs(a.Quality-b.Quality) > max(least, (a.Spread()+b.Spread())/2)
}

// cheaper orders rows by time, and by what is saved where the times are within a
// tenth.
func cheaper(a, b Row) int {
	if math.Abs(a.Seconds-b.Seconds) > 0.1*max(a.Seconds, b.Seconds) {
		if a.Seconds < b.Seconds {
			return -1
		}
		return 1
	}
	return int(max(-1, min(1, a.FileBytes-b.FileBytes)))
}

func (t Table) reason(choice, best Row, level int) string {
	first := fmt.Sprintf("Take %s: its %s of %.4f is the best here, and nothing else comes near.", choice.Technique, t.Metric, choice.Quality)
	switch {
	case level > 1 && choice.Technique == best.Technique:
		first = fmt.Sprintf("Take %s: its %s of %.4f is the best here, and nothing that is as good takes less time.", choice.Technique, t.Metric, choice.Quality)
	case choice.Technique != best.Technique:
		first = fmt.Sprintf("Take %s: its %s of %.4f cannot be told from the best one's (%s, %.4f), and nothing as good takes less time.",
			choice.Technique, t.Metric, choice.Quality, best.Technique, best.Quality)
	}
	second := fmt.Sprintf(" It took %.0f s", choice.Seconds)
	if choice.FileBytes > 0 {
		second += fmt.Sprintf(" and saves %s", size(float64(choice.FileBytes)))
	}
	if slowest := slices.MaxFunc(t.Rows, func(a, b Row) int { return cheaper(a, b) }); slowest.Technique != choice.Technique && slowest.Seconds > 2*choice.Seconds {
		second += fmt.Sprintf(", where %s took %.0f s", slowest.Technique, slowest.Seconds)
	}
	return first + second + "."
}
