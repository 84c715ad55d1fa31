package main

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"carillon/coordinator"
	"carillon/node"
)

// nodeCommand and coordinatorCommand are the verbs with which train starts its
// processes; their flags are their packages' own.
func nodeCommand() *cobra.Command { return processCommand("node", "A trainer", node.Command) }

func coordinatorCommand() *cobra.Command {
	return processCommand("coordinator", "One of the processes that keep a job together", coordinator.Command)
}

func processCommand(name, short string, run func(ctx context.Context, args []string, stdin io.Reader, stderr io.Writer) error) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Hidden: true, DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return run(cmd.Context(), args, cmd.InOrStdin(), cmd.ErrOrStderr())
		},
	}
}
