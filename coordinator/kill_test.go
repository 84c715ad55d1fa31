package coordinator

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"carillon/objstore/dir"
)

// childEnv makes the test binary a coordinator: its Config, without what cannot
// be written down.
const childEnv = "CARILLON_TEST_COORDINATOR"

type childConfig struct {
	ID    string
	Peers []Peer
	Dir   string
}

// runAsChild is a coordinator's process: it ends when its standard input does.
func runAsChild(text string) {
	var cc childConfig
	err := json.Unmarshal([]byte(text), &cc)
	ctx, cancel := context.WithCancel(context.Background())
	go func() { io.Copy(io.Discard, os.Stdin); cancel() }()
	var c *Coordinator
	if err == nil {
		store, serr := dir.Open(filepath.Join(cc.Dir, "store"))
		if err = serr; err == nil {
			c, err = Open(context.Background(), Config{ID: cc.ID, Peers: cc.Peers, Dir: filepath.Join(cc.Dir, cc.ID), Store: store, OutputDir: cc.Dir, Log: quiet})
		}
	}
	if err == nil {
		err = c.Run(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "coordinator:", err)
		os.Exit(1)
	}
}

// A leader that is killed as a power cut would has a successor well within a
// second, and the killed one comes back on its port with its folder.
func TestLeaderIsReplacedAfterSIGKILL(t *testing.T) {
	s := &system{t: t, dir: t.TempDir(), peers: peers(t, 3)}
	spawn := func(i int) *exec.Cmd {
		text, err := json.Marshal(childConfig{s.peers[i].ID, s.peers, s.dir})
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"="+string(text))
		cmd.Stderr = os.Stderr
		if _, err := cmd.StdinPipe(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		return cmd
	}
	var procs []*exec.Cmd
	for i := range s.peers {
		procs = append(procs, spawn(i))
	}
	s.user = s.dial("")
	for range 3 {
		was := s.leader()
		if err := procs[was].Process.Kill(); err != nil {
			t.Fatal(err)
		}
		killed := time.Now()
		st := s.status()
		took := time.Since(killed)
		t.Logf("from SIGKILL of %s to a status of %s: %v", s.peers[was].ID, st.Leader.ID, took)
		if st.Leader.ID == s.peers[was].ID || took > 5*time.Second {
			t.Errorf("%s answered %v after %s was killed", st.Leader.ID, took, s.peers[was].ID)
		}
		procs[was].Wait()
		procs[was] = spawn(was)
	}
}
