package main

import (
	"github.com/spf13/cobra"

	"carillon/backend"
)

// backendFlag adds --backend to a verb.
func backendFlag(cmd *cobra.Command, name *string) {
	cmd.Flags().StringVar(name, "backend", backend.Auto, "what computes: auto, cpu (XLA) or go")
}

// openBackend opens the backend that --backend names. What is not as one might hope
// it says on stderr.
func openBackend(cmd *cobra.Command, name string, threads int) (*backend.Backend, error) {
	be, err := backend.Open(cmd.Context(), backend.Options{Name: name, Threads: threads, Progress: cmd.ErrOrStderr()})
	if err != nil {
		return nil, err
	}
	if name == backend.Auto && be.Kind() == backend.Go {
		cmd.PrintErrln(be.Why())
	}
	return be, nil
}
