package systest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"carillon/backend"
	"carillon/backend/backendtest"
	"carillon/coordinator"
)

// The promise on XLA: one node against three of which one is killed, and against the
// devices of one machine, which map one file of weights.
func TestSameBitsOnXLA(t *testing.T) {
	be := backendtest.CPU(t)
	t.Logf("the nodes compute on %s", be.Kind())
	set := append([]string{"compression=q16", "max_nodes=3"}, long...) // q16: no difference is rounded away
	onXLA := func(nodes int, drills string) *run {
		r := start(t, spec(t, set...), nodes, drills)
		r.NodeFlags = []string{"--backend", backend.CPU, "--offline"}
		return r
	}
	_, want := onXLA(1, "").do(t)
	onXLA(3, "kill=n2@5").verdict(t, want)

	c := startCluster(t)
	c.machine("m1", "cpu:2")
	got := c.submit("one", spec(t, append(set, "max_nodes=2")...))
	s := c.until("two nodes train", func(s coordinator.Status) bool { return len(s.Roster.Members) == 2 && s.Step > 0 })
	var files []string
	for _, m := range s.Members {
		files = append(files, weightsOf(t, m.PID))
	}
	if len(files) != 2 || files[0] != files[1] {
		t.Errorf("the nodes map weights %q, want the same file", files)
	}
	if res := <-got; res.AdapterSHA256 != want.adapter {
		t.Errorf("adapter %s with shared weights, want %s", res.AdapterSHA256, want.adapter)
	}
}

// weightsOf is the file of weights that a process maps, and no other.
func weightsOf(t *testing.T, pid int) (file string) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); filepath.Ext(f[len(f)-1]) == ".weights" {
			file += f[len(f)-1]
		}
	}
	if file == "" {
		t.Errorf("process %d maps no weights", pid)
	}
	return file
}
