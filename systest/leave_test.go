package systest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"carillon/backend"
	"carillon/coordinator"
	"carillon/wire"
)

// A machine leaves at some moment of a job that evaluates and saves after every step: while
// it fetches, compiles, says hello, catches up, steps, evaluates or stores. It is gone in
// time, and nothing of it is seen in the result.
func TestLeavingAtAnyMoment(t *testing.T) {
	set := append(slices.Clone(long), "eval_steps=1", "save_steps=1")
	want := alone(t, spec(t, set...))
	for i := range *leaves {
		c := startCluster(t)
		c.machine("stays", "go:2")
		got := c.submit("one", spec(t, set...))
		c.until("it trains", func(s coordinator.Status) bool { return s.Step > 0 })
		m := c.machine("leaves", "go:2")
		seen := map[string]bool{} // so many different things of it
		s := c.until("its moment", func(s coordinator.Status) bool {
			for _, m := range s.Members {
				if strings.HasPrefix(m.Name, "leaves") {
					seen[fmt.Sprint(m.Name, " ", m.State, " rank ", m.Rank, " step ", m.Step)] = true
				}
			}
			return len(seen) > i || s.End != nil
		})
		began := time.Now()
		m.leave <- "a test"
		<-m.done
		took := time.Since(began)
		res := <-got
		t.Logf("after step %d, the %d. thing that was seen of it, it left in %v", s.Step, len(seen), took)
		if took > 25*time.Second {
			t.Errorf("it took %v to leave", took)
		}
		if res.AdapterSHA256 != want.adapter {
			t.Errorf("adapter %s, want %s", res.AdapterSHA256, want.adapter)
		}
		for _, r := range res.Rosters {
			if strings.Contains(r, "lost") || strings.Contains(r, "failed") {
				t.Errorf("left after step %d: %s", s.Step, r)
			}
		}
	}
}

// A node in a state in which nobody counts on it ends within a second.
func TestLeavingBeforeItTrains(t *testing.T) {
	known := wire.JobInfo{ID: "bells", Spec: spec(t).Encode()}
	stuck := known
	stuck.Model = strings.Repeat("ab", 32)
	for state, info := range map[string]wire.JobInfo{
		"":                {ID: "bells"}, // nothing is known of the job
		"fetching":        stuck,
		"opening backend": known,
		"loading":         known,
		"compiling":       known,
		"compiled":        known, // and waits for the shards
	} {
		t.Run("state "+state, func(t *testing.T) {
			c := startCluster(t)
			if info.Model != "" {
				c.hang("models/" + info.Model + ".json")
			}
			b, err := json.Marshal(info)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.ask(coordinator.VerbSubmit, b, nil); err != nil {
				t.Fatal(err)
			}
			cmd, said := trainer(t, c.hubs[0])
			if state == "" {
				c.until("it is there", func(s coordinator.Status) bool {
					return slices.ContainsFunc(s.Members, func(m coordinator.Member) bool { return m.Name == "n1" })
				})
			} else {
				said(state)
			}
			began := time.Now()
			cmd.Process.Signal(syscall.SIGTERM)
			if err := cmd.Wait(); err != nil {
				t.Errorf("it ended with %v", err)
			}
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("it took %v to leave", took)
			}
			if s := c.status(); s.End != nil || len(s.Errors) > 0 {
				t.Errorf("its leaving is told as an error: %+v", s)
			}
		})
	}
}

// trainer starts a node's process; said waits until it has said that it is in a state.
func trainer(t *testing.T, hub string) (cmd *exec.Cmd, said func(state string)) {
	t.Helper()
	cmd = exec.Command(os.Args[0], "trainer", "--job", "bells", "--name", "n1", "--coordinators", hub, "--cache", t.TempDir(), "--backend", backend.Go)
	hold, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { hold.Close() })
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = in
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	t.Cleanup(func() { out.Close() })
	lines := bufio.NewScanner(out)
	return cmd, func(state string) {
		t.Helper()
		for lines.Scan() {
			if strings.Contains(lines.Text()+" ", "msg="+state+" ") || strings.Contains(lines.Text(), fmt.Sprintf("msg=%q", state)) {
				return
			}
		}
		t.Fatalf("it has never said %q", state)
	}
}

// hang makes an object of the store one that never comes, as those of a network's folder
// may not.
func (c *cluster) hang(key string) {
	c.t.Helper()
	file := filepath.Join(c.at, filepath.FromSlash(key))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		c.t.Fatal(err)
	}
}
