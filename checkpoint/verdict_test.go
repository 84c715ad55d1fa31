package checkpoint

import (
	"testing"

	"carillon/allreduce"
)

func evalOf(step uint64, loss, bad int64) (e Eval) {
	e.Step = step
	e.Tail[allreduce.Loss], e.Tail[allreduce.BadLoss] = loss, bad
	return e
}

func TestVerdictIsOnTheFirstOfTheLowestLosses(t *testing.T) {
	var v Verdict
	for _, tt := range []struct {
		eval  Eval
		best  uint64
		since int
	}{
		{evalOf(10, 0, 1), 10, 0}, // not finite, and all there is
		{evalOf(20, 900, 0), 20, 0},
		{evalOf(30, 700, 0), 30, 0},
		{evalOf(40, 700, 0), 30, 1}, // an equal one is not better
		{evalOf(50, 1, 2), 30, 2},
		{evalOf(60, 699, 0), 60, 0},
	} {
		if v = v.After(tt.eval); v.Step != tt.eval.Step || v.Best.Step != tt.best || v.Since != tt.since {
			t.Errorf("after %+v: %+v; want the best of step %d, %d since", tt.eval, v, tt.best, tt.since)
		}
	}
}
