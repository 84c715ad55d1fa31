package systest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"

	"carillon/backend/backendtest"
	"carillon/coordinator"
	"carillon/job"
)

// TestBits is make bits: the promise on the demo's recipe and base model, on the
// best backend that there is. It prints a table of hashes.
func TestBits(t *testing.T) {
	if !*bits {
		t.Skip("takes ten minutes; run make bits")
	}
	weights := filepath.Join("..", "demo", "base", "model.safetensors")
	if _, err := os.Stat(weights); err != nil {
		t.Skipf("the demo's base model is not there (recipes/base.yaml trains it): %v", err)
	}
	be := backendtest.Open(t).Kind()
	var table strings.Builder
	tab := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	defer func() { tab.Flush(); t.Logf("recipes/demo.yaml on %s:\n%s", be, table.String()) }()
	fmt.Fprintln(tab, "nodes\talgorithm\twhat happens\tadapter_sha256\tseconds")

	var want string
	row := func(r *run, what string) {
		t.Helper()
		res, got := r.do(t)
		if want == "" {
			want = got.adapter
		}
		if got.adapter != want {
			t.Errorf("%d nodes, %s, %s: adapter %s, want %s", r.Spec.Nodes, r.Spec.Algorithm, what, got.adapter, want)
		}
		fmt.Fprintf(tab, "%d\t%s\t%s\t%s\t%.0f\n", r.Spec.Nodes, r.Spec.Algorithm, what, got.adapter, res.Seconds)
	}
	run := func(nodes int, algorithm, drills string) *run {
		t.Helper()
		r := start(t, demo(t, algorithm), nodes, drills)
		r.NodeFlags = []string{"--backend", be, "--offline"}
		return r
	}
	row(run(1, "ring", ""), "nothing")
	row(run(2, "ring", ""), "nothing")
	row(run(3, "twoshot", ""), "nothing")
	row(run(5, "ring", ""), "nothing")
	total := uint64(demo(t, "auto").MaxSteps)
	for _, drills := range []string{
		fmt.Sprintf("kill=n2@%d", total/4),
		fmt.Sprintf("kill=coordinator@%d,kill=n1@%d", total/3, total/2),
		fmt.Sprintf("kill=n3@%d,kill=coordinator@%d,join=n4@%d", total/2, total/2, 3*total/4),
	} {
		row(run(3, "twoshot", drills), drills)
	}
	r := run(3, "ring", "")
	killEverything(t, r, func(s coordinator.Status) bool { return s.Step >= total/2 && s.Saved > 0 })
	again := r.again(t, 2)
	again.NodeFlags = r.NodeFlags
	row(again, fmt.Sprintf("3 nodes and all else killed after step %d, gone on with", total/2))
}

// demo reads the demo's recipe, as somebody in the repository's root would.
func demo(t *testing.T, algorithm string) job.Spec {
	t.Helper()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	s, err := job.Load(filepath.Join(root, "recipes", "demo.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	s.Algorithm = algorithm
	if !filepath.IsAbs(s.BaseModel) {
		s.BaseModel = filepath.Join(root, s.BaseModel)
	}
	if *steps > 0 {
		s.MaxSteps, s.SaveSteps = *steps, max(1, *steps/4)
	}
	return s
}
