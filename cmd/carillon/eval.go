package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"carillon/ask"
	"carillon/job"
)

// evalFlags are the flags of eval.
type evalFlags struct {
	base, backend string
	adapters, set []string
	json          bool
}

func evalCommand() *cobra.Command {
	var f evalFlags
	cmd := &cobra.Command{
		Use:   "eval RECIPE [--base DIR] [--adapter DIR]",
		Short: "Computes a model's loss on what a recipe holds out",
		Long: `Computes a model's loss on what a recipe holds out (eval_examples of it), as a run
of the recipe does, to the last digit: nats per token, perplexity, and bits per byte
of the predicted text; of hidden words (masked_lm), of which the same ones are hidden
each time, and of targets the first two; for classes the loss in nats per example and the share of
right answers, for numbers the mean squared error. The model is the recipe's
base_model or --base, with what --adapter holds in it.

Several adapters of any methods, --adapter NAME=DIR for each, are asked over one copy
of their base model, and a row is printed for each.`,
		Example: `  carillon eval recipes/demo.yaml --adapter out/demo/adapter
  carillon eval recipe.yaml --adapter lora=out/lora/adapter --adapter prefix=out/prefix/adapter`,
		Args: arguments(1, 1, "RECIPE"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	cmd.Flags().StringVar(&f.base, "base", "", "the model's `directory` instead of the recipe's")
	adapterFlag(cmd, &f.adapters, ", or what method feature made")
	cmd.Flags().BoolVar(&f.json, "json", false, "print one JSON object, for each adapter")
	setFlag(cmd, &f.set)
	backendFlag(cmd, &f.backend)
	return cmd
}

func (f evalFlags) run(cmd *cobra.Command, recipe string) error {
	adapters, err := adaptersOf(cmd, f.adapters)
	if err != nil {
		return err
	}
	spec, err := loadRecipe(recipe, f.set)
	if err != nil {
		return err
	}
	if f.base != "" {
		// A model that is named is asked as it is, also with the recipe that made it.
		spec.BaseModel, spec.ReinitWeights, spec.InitFrom, spec.InitSHA256 = f.base, false, "", ""
	}
	be, err := openBackend(cmd, f.backend, spec.CPUThreads)
	if err != nil {
		return err
	}
	defer be.Close()
	rows, err := evaluate(cmd.Context(), be, adapters, spec)
	if err != nil {
		return err
	}
	return f.print(cmd, rows)
}

// print prints a row each, after the adapters' names if they have any.
func (f evalFlags) print(cmd *cobra.Command, rows []row) error {
	width := 0
	for _, r := range rows {
		width = max(width, len(r.called(rows)))
	}
	for _, r := range rows {
		name := r.called(rows)
		line, facts := result(r.loss)
		var err error
		if f.json {
			if name != "" {
				facts["adapter"] = name
			}
			err = json.NewEncoder(cmd.OutOrStdout()).Encode(facts)
		} else if name != "" {
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%-*s  %s\n", width, name, line)
		} else {
			_, err = fmt.Fprintln(cmd.OutOrStdout(), line)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// result says a loss in words, and in numbers by name.
func result(l ask.Loss) (line string, facts map[string]any) {
	facts = map[string]any{"held_out_loss": l.Mean(), "examples": l.Examples}
	switch l.Task {
	case job.SeqCls:
		facts["accuracy"], facts["right"] = l.Accuracy(), l.Right
		return fmt.Sprintf("held-out loss %.4f nats per example, accuracy %.4f (%d of %d right)", l.Mean(), l.Accuracy(), l.Right, l.Examples), facts
	case job.Regression:
		facts["mean_squared_error"] = l.Mean()
		return fmt.Sprintf("mean squared error %.6g on what is held out (%d examples)", l.Mean(), l.Examples), facts
	}
	facts["perplexity"], facts["tokens"] = l.Perplexity(), l.Tokens
	if l.Task != job.CausalLM { // of a target, or of hidden words alone: no stretch of text with its bytes
		return fmt.Sprintf("held-out loss %.4f nats per token, perplexity %.2f (%d examples, %d tokens asked for)", l.Mean(), l.Perplexity(), l.Examples, l.Tokens), facts
	}
	facts["bits_per_byte"], facts["bytes"] = l.BitsPerByte(), l.Bytes
	return fmt.Sprintf("held-out loss %.4f nats per token, perplexity %.2f, %.4f bits per byte (%d examples, %d tokens, %d bytes)",
		l.Mean(), l.Perplexity(), l.BitsPerByte(), l.Examples, l.Tokens, l.Bytes), facts
}

// setFlag adds --set to a verb that reads a recipe.
func setFlag(cmd *cobra.Command, set *[]string) {
	cmd.Flags().StringArrayVar(set, "set", nil, "change a key of the recipe, as `key=value`; dotted inside a section: lora.r=16")
}

// loadRecipe reads a recipe with the changes of --set.
func loadRecipe(path string, set []string) (job.Spec, error) {
	spec, err := job.Load(path)
	if err != nil {
		return job.Spec{}, err
	}
	for _, change := range set {
		key, value, ok := strings.Cut(change, "=")
		if !ok {
			return job.Spec{}, fmt.Errorf("--set %s: want key=value", change)
		}
		if err := spec.Set(key, value); err != nil {
			return job.Spec{}, fmt.Errorf("--set %s: %w", change, err)
		}
	}
	if err := spec.Validate(); err != nil {
		return job.Spec{}, fmt.Errorf("%s: %w", path, err)
	}
	return spec, nil
}
