package systest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
	c.machine("m1", "cpu:4")
	got := c.submit("one", spec(t, append(set, "max_nodes=4")...)) // long enough to be looked at
	var files []string
	c.until("four nodes map one file of weights", func(s coordinator.Status) bool {
		files = files[:0]
		for _, m := range s.Members {
			if m.Rank >= 0 {
				files = append(files, weightsOf(m.PID)...)
			}
		}
		return len(files) == 4 && len(slices.Compact(files)) == 1
	})
	if res := <-got; res.AdapterSHA256 != want.adapter {
		t.Errorf("adapter %s with shared weights, want %s", res.AdapterSHA256, want.adapter)
	}
}

// weightsOf are the files of weights that a process maps.
func weightsOf(pid int) (files []string) {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid)) // it may have ended
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); filepath.Ext(f[len(f)-1]) == ".weights" {
			files = append(files, f[len(f)-1])
		}
	}
	return files
}
