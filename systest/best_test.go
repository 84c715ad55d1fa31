package systest

import (
	"path/filepath"
	"testing"

	"carillon/launch"
)

// early is a job that overfits soon: its rate is far too high, and what is held out
// is not what is learnt.
var early = []string{"load_best_model_at_end=true", "early_stopping_patience=2", "eval_steps=2", "max_steps=40", "learning_rate=7e-2", "save_total_limit=1"}

// The best state comes out, not the last one; the job ends when nothing gets better;
// and all of that has the same bits on any number of nodes, whoever dies.
func TestBestStateIsTheSameWhateverHappens(t *testing.T) {
	r := start(t, spec(t, early...), 1, "")
	res, want := r.do(t)
	checkBest(t, r, res)
	for _, tt := range []struct {
		nodes  int
		drills string
	}{{3, "kill=n2@3,kill=coordinator@4"}, {2, ""}} {
		got, bits := start(t, spec(t, early...), tt.nodes, tt.drills).do(t)
		if bits != want || got.BestStep != res.BestStep || got.Steps != res.Steps {
			t.Errorf("%d nodes, %q: best of step %d of %d, sha256 %s; want step %d of %d, %s", tt.nodes, tt.drills, got.BestStep, got.Steps, got.AdapterSHA256, res.BestStep, res.Steps, res.AdapterSHA256)
		}
	}
	dead := start(t, spec(t, early...), 2, "kill=n1@7,kill=n2@7")
	if _, err := launch.Run(t.Context(), dead.Config); err == nil {
		t.Fatal("all nodes were killed, and the run ended well")
	}
	dead.again(t, 3).verdict(t, want)
	again, err := launch.Run(t.Context(), r.again(t, 2).Config)
	if err != nil {
		t.Fatal(err)
	}
	if again.AdapterSHA256 != want.adapter || !again.EarlyStopped {
		t.Errorf("a job that had stopped early, resumed: %+v", again)
	}
}

// checkBest compares what came out with the metrics: the first of the lowest
// held-out losses, and two evaluations after it the end.
func checkBest(t *testing.T, r *run, res launch.Result) {
	t.Helper()
	metrics, err := launch.Metrics(filepath.Join(r.Spec.OutputDir, launch.MetricsFile))
	if err != nil {
		t.Fatal(err)
	}
	best, since := metrics[0], 0
	for _, m := range metrics {
		if m.EvalLoss == nil || m.Step%2 != 0 || since == 2 {
			continue
		}
		if since++; best.EvalLoss == nil || *m.EvalLoss < *best.EvalLoss {
			best, since = m, 0
		}
	}
	if since != 2 || res.BestStep != best.Step || *res.HeldOutLoss != *best.EvalLoss {
		t.Errorf("best step %d with held-out loss %v; by the metrics it is %d with %v, and %d evaluations came after it", res.BestStep, *res.HeldOutLoss, best.Step, *best.EvalLoss, since)
	}
	if !res.EarlyStopped || res.Stopped || res.Steps != best.Step+5 {
		t.Errorf("early stopped %v, stopped %v, after %d steps; want an early end one step after the second evaluation without a lower loss, step %d", res.EarlyStopped, res.Stopped, res.Steps, best.Step+5)
	}
}
