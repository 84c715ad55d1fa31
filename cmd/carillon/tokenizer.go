package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"carillon/corpus"
	"carillon/job"
	"carillon/tokenizer"
)

// endOfText ends a text in every tokenizer that is trained here, as in GPT-2's.
const endOfText = "<|endoftext|>"

// tokenizerFlags are the flags of tokenizer train.
type tokenizerFlags struct {
	data  job.Dataset
	vocab int
	out   string
	force bool
}

func tokenizerCommand() *cobra.Command {
	cmd := group("tokenizer", "Makes tokenizers")
	cmd.AddCommand(tokenizerTrainCommand())
	return cmd
}

func tokenizerTrainCommand() *cobra.Command {
	var f tokenizerFlags
	cmd := &cobra.Command{
		Use:   "train --data PATH --vocab-size N --out DIR",
		Short: "Makes a byte-level BPE tokenizer from text",
		Long: `Makes a byte-level BPE tokenizer from a data set: tokenizer.json, as Hugging Face's
libraries read it. The same text gives the same file.`,
		Example: `  carillon tokenizer train --data go:src --vocab-size 2048 --out demo/base`,
		Args:    arguments(0, 0, ""),
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	cmd.Flags().StringVar(&f.data.Path, "data", "", "a file, go:std or go:src, a `path`")
	cmd.Flags().StringVar(&f.data.Type, "type", "", "the data's `form`, where it cannot be guessed: text or prompt_completion")
	cmd.Flags().StringSliceVar(&f.data.HeldOut, "held-out", nil, "`packages` of go:std and go:src to leave out")
	cmd.Flags().IntVar(&f.vocab, "vocab-size", 0, "the `number` of tokens, at least 257")
	cmd.Flags().StringVar(&f.out, "out", "", "the `directory` to write tokenizer.json to")
	cmd.Flags().BoolVar(&f.force, "force", false, "replace a tokenizer that is there")
	return cmd
}

func (f tokenizerFlags) run(cmd *cobra.Command) error {
	if err := required(cmd, "data", "out"); err != nil {
		return err
	}
	if f.vocab < 257 {
		return usage(cmd, "--vocab-size %d: want 257 or more, for the 256 bytes and the end of text", f.vocab)
	}
	if err := f.free(); err != nil {
		return err
	}
	examples, report, err := corpus.Read(cmd.Context(), []job.Dataset{f.data}, nil)
	if err != nil {
		return err
	}
	for _, s := range report.Sources {
		cmd.PrintErrln(s)
	}
	tok, err := tokenizer.TrainBPE(corpus.Texts(examples), f.vocab, []string{endOfText})
	if err != nil {
		return fmt.Errorf("%s: %w", f.data.Path, err)
	}
	if err := tok.Write(f.out); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: %d tokens\n", filepath.Join(f.out, tokenizer.FileName), tok.VocabSize())
	return err
}

// free says whether the tokenizer may be written.
func (f tokenizerFlags) free() error {
	path := filepath.Join(f.out, tokenizer.FileName)
	_, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case f.force:
		return nil
	}
	return fmt.Errorf("%s is there already; --force replaces it", path)
}
