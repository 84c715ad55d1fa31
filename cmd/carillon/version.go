package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/spf13/cobra"

	"carillon/checkpoint"
	steps "carillon/train" // train is a verb here
	"carillon/wire"
)

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Says what this program was made from, and which formats it speaks",
		Args:  arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return printVersion(cmd.OutOrStdout())
		},
	}
}

func printVersion(w io.Writer) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	_, err := fmt.Fprintf(w, "carillon %s\nrevision %s\n%s\nformats: checkpoint %d, messages %d, training protocol %d\n",
		cmp.Or(info.Main.Version, "(unknown)"), revision(info), cmp.Or(info.GoVersion, "go (unknown)"),
		checkpoint.Version, wire.Version, steps.Protocol)
	return err
}

// revision says which commit the program was built from.
func revision(info *debug.BuildInfo) string {
	settings := map[string]string{}
	for _, s := range info.Settings {
		settings[s.Key] = s.Value
	}
	rev := cmp.Or(settings["vcs.revision"], "(unknown)")
	if settings["vcs.modified"] == "true" {
		rev += ", modified"
	}
	return rev
}
