package systest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"carillon/coordinator"
	"carillon/launch"
)

// The promise, on any number of nodes and with any algorithm.
func TestSameBitsOnAnyNumberOfNodes(t *testing.T) {
	want := alone(t, spec(t))
	for _, tt := range firstIfRaced([]struct {
		nodes     int
		algorithm string
	}{{5, "ring"}, {5, "twoshot"}, {3, "twoshot"}, {2, "ring"}}) {
		t.Run(fmt.Sprintf("%s of %d", tt.algorithm, tt.nodes), func(t *testing.T) {
			start(t, spec(t, "algorithm="+tt.algorithm), tt.nodes, "").verdict(t, want)
		})
	}
}

// firstIfRaced is the first case alone under the race detector.
func firstIfRaced[T any](cases []T) []T {
	if raced {
		return cases[:1]
	}
	return cases
}

// Kill a node, the leader, both in one step with a node that joins: same bits.
func TestSameBitsThroughDrills(t *testing.T) {
	want := alone(t, spec(t))
	for _, drills := range firstIfRaced([]string{
		"kill=n1@5,kill=coordinator@5,join=n4@8",
		"kill=n2@4",
		"kill=coordinator@6",
	}) {
		t.Run(drills, func(t *testing.T) {
			start(t, spec(t), 3, drills).verdict(t, want)
		})
	}
}

// All nodes die in one step; what was saved is gone on with, on another number of nodes.
func TestSameBitsWhenAllNodesDie(t *testing.T) {
	want := alone(t, spec(t))
	r := start(t, spec(t), 2, "kill=n1@7,kill=n2@7")
	if res, err := launch.Run(t.Context(), r.Config); err == nil || !strings.Contains(err.Error(), "all nodes have ended") {
		t.Fatalf("all nodes were killed, and the run ended with %+v, %v", res, err)
	}
	r.again(t, 3).verdict(t, want)
}

// long is a job that lasts long enough to be met in its middle.
var long = []string{fmt.Sprintf("max_steps=%d", longSteps), "save_steps=5"}

// SIGKILL of everything, the launcher first, at no particular moment.
func TestSameBitsWhenEverythingIsKilled(t *testing.T) {
	want := alone(t, spec(t, long...))
	r := start(t, spec(t, long...), 3, "")
	killEverything(t, r, func(s coordinator.Status) bool { return s.Saved >= 5 })
	r.again(t, 2).verdict(t, want)
}

// killEverything runs r in a process of its own, and kills that and all of its
// children once ready.
func killEverything(t *testing.T, r *run, ready func(coordinator.Status) bool) {
	t.Helper()
	r.View, r.Log = nil, nil
	config, err := json.Marshal(r.Config)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(r.Command[0], "launch", string(config))
	var words strings.Builder
	cmd.Stderr = &words
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	killed := false
	for lines := bufio.NewScanner(out); !killed && lines.Scan(); {
		var s coordinator.Status
		if err := json.Unmarshal(lines.Bytes(), &s); err != nil {
			t.Fatalf("%q: %v", lines.Text(), err)
		}
		if ready(s) {
			kill(t, cmd.Process.Pid)
			kill(t, s.Leader.PID)
			for _, m := range s.Members {
				kill(t, m.PID)
			}
			killed = true
			t.Logf("killed everything at step %d of %d, %d saved", s.Step, s.Steps, s.Saved)
			if s.Step >= s.Steps {
				t.Errorf("the job was over already")
			}
		}
	}
	_ = cmd.Wait() // killed
	if !killed {
		t.Fatalf("the run ended before it was killed: %s%s", words.String(), logs(r.Spec.OutputDir))
	}
}

func kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Errorf("kill process %d: %v", pid, err)
	}
}

// Ctrl-C saves and leaves; a resumed run ends as one that was never stopped.
func TestSameBitsAfterCtrlC(t *testing.T) {
	want := alone(t, spec(t, long...))
	r := start(t, spec(t, long...), 2, "")
	res, err := launch.Run(r.cancelAt(t, 3), r.Config)
	if err != nil || !res.Stopped || res.Steps < 3 || res.Steps >= longSteps {
		t.Fatalf("stopped: %+v, %v%s", res, err, logs(r.Spec.OutputDir))
	}
	t.Logf("stopped after step %d", res.Steps)
	r.again(t, 3).verdict(t, want)
}
