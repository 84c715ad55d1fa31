package main

import (
	"os"

	"github.com/spf13/cobra"

	"carillon/backend"
)

// backendFlag adds --backend to a verb.
func backendFlag(cmd *cobra.Command, name *string) {
	cmd.Flags().StringVar(name, "backend", backend.Auto, "what computes: auto, cuda (NVIDIA GPU), tpu, cpu (XLA) or go; cuda:FILE and tpu:FILE name the plugin")
}

// openBackend opens the backend that --backend names. What is not as one might hope
// it says on stderr.
func openBackend(cmd *cobra.Command, name string, threads int) (*backend.Backend, error) {
	be, err := backend.Open(cmd.Context(), backend.Options{Name: name, Threads: threads, Progress: cmd.ErrOrStderr(), Prober: prober()})
	if err != nil {
		return nil, err
	}
	if be.Choice().Less {
		cmd.PrintErrln(be.Why())
	}
	return be, nil
}

// prober is the command that tries a device: this program, with another verb.
func prober() []string {
	exe, err := os.Executable()
	if err != nil { // no device is opened then, and why is said
		return nil
	}
	return []string{exe, "probe"}
}

// nodeFlags tell nodes on this machine to open just what was chosen.
func nodeFlags(c backend.Choice) []string {
	flags := []string{"--backend", c.Name, "--offline"}
	if c.Name != c.Kind {
		flags = append(flags, "--tried")
	}
	return flags
}
