package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"carillon/agent"
	"carillon/coordinator"
	"carillon/wire"
)

func drainCommand() *cobra.Command {
	var f clusterFlags
	var dir string
	cmd := &cobra.Command{
		Use: "drain [NODE]", Short: "Lets a machine leave without losing a step",
		Long: `Lets a machine leave: the others take its lanes over at the end of a step, and its process
ends. This returns when it has left.

Without a name it is this machine's, by its --dir: for what stops machines, such as
Kubernetes' preStop. That needs no certificate.`,
		Args: arguments(0, 1, "a machine's name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return drainHere(cmd, dir)
			}
			c, err := f.dial(cmd)
			if err != nil {
				return err
			}
			defer c.Close()
			return drain(cmd, c, args[0])
		},
	}
	f.add(cmd)
	cmd.Flags().StringVar(&dir, "dir", stateDir(), "the --dir of this machine's carillon node")
	return cmd
}

// drainPatience is longer than a machine takes to leave.
const drainPatience = 40 * time.Second

// drain asks for it again and again, since a leader that is new knows nothing of it.
func drain(cmd *cobra.Command, c *wire.Control, name string) error {
	absent := time.Time{} // since when it is in no list: a new leader's is empty at first
	gone := func() (bool, error) {
		var all []coordinator.Machine
		err := askCluster(cmd.Context(), c, coordinator.VerbMachines, nil, &all)
		there, listed := false, false
		for _, m := range all {
			listed = listed || m.Name == name
			there = there || m.Name == name && m.State != coordinator.StateLeft && m.State != coordinator.StateLost
		}
		switch {
		case listed:
			absent = time.Time{}
			return !there, err
		case absent.IsZero():
			absent = time.Now()
		}
		return time.Since(absent) > 2*coordinator.DefaultSilence, err
	}
	if err := askCluster(cmd.Context(), c, coordinator.VerbDrain, []byte(name), nil); err != nil {
		return err
	}
	err := until(cmd, func() (bool, error) {
		left, err := gone()
		if err == nil && !left {
			_ = askCluster(cmd.Context(), c, coordinator.VerbDrain, []byte(name), nil) // it may just have left
		}
		return left, err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s has left\n", name)
	return err
}

// until waits for something to be so.
func until(cmd *cobra.Command, so func() (bool, error)) error {
	for limit := time.Now().Add(drainPatience); time.Now().Before(limit); {
		if ok, err := so(); ok || err != nil {
			return err
		}
		select {
		case <-time.After(200 * time.Millisecond):
		case <-cmd.Context().Done():
			return cmd.Context().Err()
		}
	}
	return fmt.Errorf("it has not left within %v", drainPatience)
}

// drainHere signals this machine's own process, and waits for its end.
func drainHere(cmd *cobra.Command, dir string) error {
	path := filepath.Join(dir, agent.PIDFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("no carillon node is running with --dir %s (%w)", dir, err)
	}
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid < 1 {
		return fmt.Errorf("%s: %q is no process number", path, text)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("process %d: %w", pid, err)
	}
	return until(cmd, func() (bool, error) {
		now, err := os.ReadFile(path) // the process removes it last
		return err != nil || string(now) != string(text) || syscall.Kill(pid, 0) != nil, nil
	})
}
