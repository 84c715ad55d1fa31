package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"carillon/ask"
	"carillon/job"
)

// generateFlags are the flags of generate.
type generateFlags struct {
	base, adapter, backend string
	ask.Writing
}

func generateCommand() *cobra.Command {
	var f generateFlags
	cmd := &cobra.Command{
		Use:   "generate [--base DIR] [--adapter DIR] PROMPT... | -",
		Short: "Continues each prompt",
		Long: `Continues each prompt until the end of text, one of --stop, or for --max-new-tokens,
and prints what was added, one prompt after the other: always by the likeliest token,
or with a --temperature by drawing, the same for the same --seed. With - the
prompt is all of standard input. The base model of an adapter is where the adapter
says, unless --base says otherwise.`,
		Example: `  carillon generate --base demo/base --adapter out/demo/adapter 'func Itoa(i int) string'`,
		RunE:    func(cmd *cobra.Command, args []string) error { return f.run(cmd, args) },
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return usage(cmd, "a prompt is missing; - reads it from standard input")
		}
		return nil
	}
	cmd.Flags().StringVar(&f.base, "base", "", "the model's `directory`, as Hugging Face lays it out")
	cmd.Flags().StringVar(&f.adapter, "adapter", "", "a LoRA adapter's `directory`, as PEFT lays it out")
	cmd.Flags().IntVar(&f.MaxNew, "max-new-tokens", 64, "the most `tokens` to add")
	cmd.Flags().Float64Var(&f.Temperature, "temperature", 0, "draw, with logits divided by it; 0 takes the likeliest token")
	cmd.Flags().IntVar(&f.TopK, "top-k", 0, "draw among the so many likeliest tokens; 0: all")
	cmd.Flags().Float64Var(&f.TopP, "top-p", 0, "draw among the likeliest tokens that together have this probability; 0: all")
	cmd.Flags().Float64Var(&f.RepetitionPenalty, "repetition-penalty", 1, "make tokens that are in the text already less likely")
	cmd.Flags().Uint64Var(&f.Seed, "seed", 42, "what is drawn by")
	cmd.Flags().StringArrayVar(&f.Stop, "stop", nil, "a text that ends what is added, and is left out; may be given several times")
	backendFlag(cmd, &f.backend)
	return cmd
}

func (f generateFlags) run(cmd *cobra.Command, prompts []string) error {
	switch {
	case f.base == "" && f.adapter == "":
		return usage(cmd, "--base or --adapter is missing: which model?")
	case f.MaxNew < 1:
		return usage(cmd, "--max-new-tokens %d: want 1 or more", f.MaxNew)
	case slices.Contains(f.Stop, ""):
		return usage(cmd, "--stop is empty: want some text")
	}
	if err := f.Check(); err != nil {
		return usage(cmd, "%v", err)
	}
	prompts, err := readPrompts(cmd, prompts)
	if err != nil {
		return err
	}
	be, err := openBackend(cmd, f.backend, 0)
	if err != nil {
		return err
	}
	defer be.Close()
	a, err := ask.Open(cmd.Context(), be, f.base, f.adapter, job.Spec{})
	if err != nil {
		return err
	}
	defer a.Close()
	texts, err := a.Write(cmd.Context(), prompts, f.Writing)
	if err != nil {
		return err
	}
	for _, text := range texts {
		fmt.Fprintln(cmd.OutOrStdout(), text)
	}
	return nil
}

// readPrompts returns the arguments, or standard input for a single -.
func readPrompts(cmd *cobra.Command, args []string) ([]string, error) {
	if len(args) != 1 || args[0] != "-" {
		return args, nil
	}
	text, err := io.ReadAll(cmd.InOrStdin())
	if err != nil {
		return nil, fmt.Errorf("read the prompt: %w", err)
	}
	return []string{string(text)}, nil
}
