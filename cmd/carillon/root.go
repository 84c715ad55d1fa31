package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// run is the whole program, and returns its exit status: 1 after an error, 2 where
// the command line itself is wrong.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	cmd := root()
	cmd.SetArgs(args)
	cmd.SetIn(stdin)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	var wrong *usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &wrong):
		fmt.Fprintf(stderr, "carillon: %v (carillon %s says more)\n", err, strings.TrimSpace("help "+wrong.verb))
		return 2
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		fmt.Fprintln(stderr, "carillon: interrupted")
		return 1
	}
	fmt.Fprintf(stderr, "carillon: %v\n", err)
	return 1
}

// root is the command with all its verbs.
func root() *cobra.Command {
	cmd := group("carillon", "Fine-tunes language models on many machines, with the same bits on any number of them")
	cmd.SilenceErrors = true // run prints them
	cmd.SilenceUsage = true
	cmd.CompletionOptions.HiddenDefaultCmd = true
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return usage(cmd, "%v", err) })
	cmd.AddCommand(
		demoCommand(),
		trainCommand(),
		previewCommand(),
		compareCommand(),
		generateCommand(),
		evalCommand(),
		exportCommand(),
		mergeCommand(),
		inspectCommand(),
		checkpointsCommand(),
		storeCommand(),
		tokenizerCommand(),
		tokenizeCommand(),
		detokenizeCommand(),
		versionCommand(),
		launchCommand(),
		coordinatorCommand(),
		nodeCommand(),
		submitCommand(),
		statusCommand(),
		jobsCommand(),
		nodesCommand(),
		logsCommand(),
		cancelCommand(),
		drainCommand(),
		coordinatorsCommand(),
		revokeCommand(),
		caCommand(),
		trainerCommand(),
		voterCommand(),
		probeCommand(),
		encodeCommand(),
	)
	return cmd
}

// group is a command that only has verbs of its own.
func group(use, short string) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, SuggestionsMinimumDistance: 2}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			return usage(cmd, "unknown command %q; did you mean %s?", args[0], strings.Join(near, " or "))
		}
		return usage(cmd, "unknown command %q", args[0])
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}

// usageError says what is wrong with the command line of a verb.
type usageError struct{ verb, text string }

func (e *usageError) Error() string { return e.text }

func usage(cmd *cobra.Command, format string, args ...any) error {
	_, verb, _ := strings.Cut(cmd.CommandPath(), " ")
	text := fmt.Sprintf(format, args...)
	if verb != "" {
		text = verb + ": " + text
	}
	return &usageError{verb, text}
}

// arguments allows from least to most arguments, called what.
func arguments(least, most int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < least:
			return usage(cmd, "%s is missing", what)
		case len(args) > most && most == 0:
			return usage(cmd, "unexpected argument %q", args[0])
		case len(args) > most:
			return usage(cmd, "unexpected argument %q after %s", args[most], what)
		}
		return nil
	}
}

// required says which of the flags, none of which has a default, was not given.
func required(cmd *cobra.Command, flags ...string) error {
	for _, name := range flags {
		if f := cmd.Flags().Lookup(name); f.Value.String() == "" {
			return usage(cmd, "--%s is missing: %s", name, f.Usage)
		}
	}
	return nil
}
