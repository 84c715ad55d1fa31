package main

import (
	"github.com/spf13/cobra"

	"carillon/backend"
)

// probeCommand is the verb with which backends are tried in processes of their own.
func probeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "probe", Short: "Try a compute backend", Hidden: true, DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return backend.ProbeCommand(cmd.Context(), args, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}
