package main

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"carillon/export"
)

// mergeFlags are the flags of merge.
type mergeFlags struct{ base, adapter, out string }

func mergeCommand() *cobra.Command {
	var f mergeFlags
	cmd := &cobra.Command{
		Use:   "merge --adapter DIR --out DIR",
		Short: "Makes a model directory of a base model and an adapter",
		Long: `Makes a Hugging Face directory of a model that computes by itself what the base
model does with the adapter: LoRA (DoRA too) and IA3 become part of the weights, which
are stored in the base's type, in files of at most 5 GB, beside the base's configuration
and tokenizer. It prints the SHA-256 of the weights.

An adapter of ours is merged into its own base only, which it knows by hash. llama.cpp
makes a GGUF file of the result: python convert_hf_to_gguf.py DIR.`,
		Args: arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.do(cmd) },
	}
	cmd.Flags().StringVar(&f.adapter, "adapter", "", "the adapter's `directory`, as PEFT lays it out")
	cmd.Flags().StringVar(&f.base, "base", "", "the base model's `directory` (default the one that the adapter names)")
	cmd.Flags().StringVar(&f.out, "out", "", "the `directory` to make")
	return cmd
}

func (f mergeFlags) do(cmd *cobra.Command) error {
	if err := errors.Join(required(cmd, "adapter"), required(cmd, "out")); err != nil {
		return err
	}
	info, _, err := export.Open(f.adapter)
	if err != nil {
		return err
	}
	sum, err := export.Merge(f.out, cmp.Or(f.base, info.Base), f.adapter)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: sha256 %s\n", f.out, sum)
	return err
}
