package optim

import (
	"fmt"
	"math"

	"carillon/job"
)

// Schedule is a learning rate as a function of the step.
type Schedule struct {
	kind   string
	peak   float64
	ratio  float64 // of all steps, for the warm-up
	warmup int     // in steps; takes precedence over ratio
}

// NewSchedule returns the schedule that a spec names: constant, linear or
// cosine, each after a linear warm-up.
func NewSchedule(s job.Spec) (Schedule, error) {
	switch s.LRScheduler {
	case "constant", "linear", "cosine":
	default:
		return Schedule{}, fmt.Errorf("lr_scheduler %q: want constant, linear or cosine", s.LRScheduler)
	}
	return Schedule{kind: s.LRScheduler, peak: s.LearningRate, ratio: s.WarmupRatio, warmup: s.WarmupSteps}, nil
}

// At returns the learning rate of step (counted from 0) of total, as the
// schedules of transformers' get_scheduler give it.
func (s Schedule) At(step, total uint64) float64 {
	warm, t, n := s.warmupSteps(total), float64(step), float64(total)
	if t < warm {
		return s.peak * (t / max(1, warm))
	}
	switch s.kind {
	case "linear":
		return s.peak * max(0, (n-t)/max(1, n-warm))
	case "cosine":
		progress := (t - warm) / max(1, n-warm)
		return s.peak * max(0, 0.5*(1+math.Cos(math.Pi*progress)))
	}
	return s.peak
}

func (s Schedule) warmupSteps(total uint64) float64 {
	if s.warmup > 0 {
		return float64(s.warmup)
	}
	return math.Ceil(float64(total) * s.ratio)
}
