package systest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"carillon/backend"
	"carillon/coordinator"
	"carillon/job"
	"carillon/launch"
)

// recipe is the job of the tests. Five lanes: no number of nodes but 1 and 5
// carries them evenly.
const recipe = `
base_model: %q
datasets: [{path: %q}]
sequence_len: 32
method: lora
lora: {r: 4, lora_alpha: 8, target_modules: [c_attn, c_proj, c_fc]}
lanes: 5
micro_batch_size: 1
max_steps: 12
val_set_size: 6
eval_steps: 6
save_steps: 4
learning_rate: 1e-2
warmup_steps: 2
`

// spec reads the recipe, with keys changed.
func spec(t *testing.T, set ...string) job.Spec {
	t.Helper()
	dir := t.TempDir()
	var data strings.Builder
	for i := range 60 {
		fmt.Fprintf(&data, "{\"prompt\": \"the bell number %d \", \"completion\": \"rings %d times in the morning\"}\n", i, i*7%11)
	}
	write(t, filepath.Join(dir, "data.jsonl"), data.String())
	file := filepath.Join(dir, "recipe.yaml")
	write(t, file, fmt.Sprintf(recipe, base(t), filepath.Join(dir, "data.jsonl")))
	s, err := job.Load(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, kv := range set {
		key, value, _ := strings.Cut(kv, "=")
		if err := s.Set(key, value); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// run is one run of a job.
type run struct {
	launch.Config
	status func(coordinator.Status) // called with each
}

// start returns a run of a spec in a folder of its own, of so many nodes on the
// Go backend, with one coordinator unless the drills need three.
func start(t *testing.T, s job.Spec, nodes int, drills string) *run {
	t.Helper()
	d, err := job.ParseDrills(drills)
	if err != nil {
		t.Fatal(err)
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s.Nodes, s.OutputDir = nodes, t.TempDir()
	r := &run{Config: launch.Config{
		Job: "bells", Spec: s, Coordinators: 1, Drills: d, Command: []string{exe},
		NodeFlags: []string{"--backend", backend.Go}, Log: slog.New(slog.DiscardHandler),
	}}
	if strings.Contains(drills, job.Coordinator) {
		r.Coordinators = 3
	}
	r.View = &news{t, r}
	return r
}

// news is what a run tells its test.
type news struct {
	t *testing.T
	*run
}

func (n *news) Note(text string)          { n.t.Log(text) }
func (n *news) Progress(string, int, int) {}
func (n *news) Status(s coordinator.Status) {
	if n.status != nil {
		n.status(s)
	}
}

// outcome is what must be the same whatever happened.
type outcome struct {
	adapter string
	digests string // one a step
}

// do runs to the end; an error fails the test.
func (r *run) do(t *testing.T) (launch.Result, outcome) {
	t.Helper()
	res, err := launch.Run(t.Context(), r.Config)
	if err != nil {
		t.Fatalf("%d nodes: %v%s", r.Spec.Nodes, err, logs(r.Spec.OutputDir))
	}
	return res, outcome{res.AdapterSHA256, r.digests(t)}
}

// digests reads them from metrics.jsonl, where each step must be once, in order.
func (r *run) digests(t *testing.T) string {
	t.Helper()
	metrics, err := launch.Metrics(filepath.Join(r.Spec.OutputDir, launch.MetricsFile))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for i, m := range metrics {
		if m.Step != uint64(i+1) {
			t.Fatalf("line %d of metrics.jsonl is of step %d", i+1, m.Step)
		}
		fmt.Fprintf(&b, "%d %.16s\n", m.Step, m.Digest)
	}
	return b.String()
}

// verdict runs to the end and compares with an undisturbed node. (That drills
// fired is launch.Run's own verdict.)
func (r *run) verdict(t *testing.T, want outcome) {
	t.Helper()
	res, got := r.do(t)
	if got != want {
		t.Errorf("%d nodes, drills %v: adapter %s, want %s\ndigests\n%swant\n%s", r.Spec.Nodes, r.Drills, got.adapter, want.adapter, got.digests, want.digests)
	}
	t.Logf("loss %v; %d nodes, %d steps, adapter %.16s, first step after %.1f s, all after %.1f s", res.Loss, r.Spec.Nodes, res.Steps, res.AdapterSHA256, res.FirstStep, res.Seconds)
}

// again is the same run gone on with, with nothing happening to it any more.
func (r *run) again(t *testing.T, nodes int) *run {
	t.Helper()
	n := start(t, r.Spec, nodes, "")
	n.Spec.OutputDir, n.Resume = r.Spec.OutputDir, true
	return n
}

// logs are the ends of the processes' logs.
func logs(out string) string {
	var b strings.Builder
	files, _ := filepath.Glob(filepath.Join(out, launch.LogDir, "*.log"))
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err == nil {
			fmt.Fprintf(&b, "\n== %s\n%s", filepath.Base(f), text[max(0, len(text)-3000):])
		}
	}
	return b.String()
}

// undisturbed is the outcome of one node that nothing happens to, by the number
// of steps.
var undisturbed = struct {
	sync.Mutex
	known map[int]outcome
}{known: map[int]outcome{}}

func alone(t *testing.T, s job.Spec) outcome {
	t.Helper()
	undisturbed.Lock()
	defer undisturbed.Unlock()
	if o, ok := undisturbed.known[s.MaxSteps]; ok {
		return o
	}
	res, o := start(t, s, 1, "").do(t)
	if res.Steps != uint64(s.MaxSteps) || len(o.adapter) != 64 {
		t.Fatalf("one node: %+v", res)
	}
	undisturbed.known[s.MaxSteps] = o
	return o
}

// cancelAt returns a context that ends once the run has done a step.
func (r *run) cancelAt(t *testing.T, step uint64) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	r.status = func(s coordinator.Status) {
		if s.Step >= step {
			cancel()
		}
	}
	return ctx
}
