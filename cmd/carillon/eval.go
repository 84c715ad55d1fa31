package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"carillon/ask"
	"carillon/job"
	"carillon/shard"
)

// evalFlags are the flags of eval.
type evalFlags struct {
	base, adapter, backend string
	set                    []string
	json                   bool
}

func evalCommand() *cobra.Command {
	var f evalFlags
	cmd := &cobra.Command{
		Use:   "eval RECIPE [--base DIR] [--adapter DIR]",
		Short: "Computes a model's loss on what a recipe holds out",
		Long: `Computes a model's loss on what a recipe holds out (eval_examples of it), as a run
of the recipe does, to the last digit: nats per token, perplexity, and bits per byte
of the predicted text. The model is the recipe's base_model or --base, with what
--adapter holds in it.`,
		Example: `  carillon eval recipes/demo.yaml --adapter out/demo/adapter`,
		Args:    arguments(1, 1, "RECIPE"),
		RunE:    func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	cmd.Flags().StringVar(&f.base, "base", "", "the model's `directory` instead of the recipe's")
	cmd.Flags().StringVar(&f.adapter, "adapter", "", "a LoRA adapter's `directory`, as PEFT lays it out")
	cmd.Flags().BoolVar(&f.json, "json", false, "print one JSON object")
	setFlag(cmd, &f.set)
	backendFlag(cmd, &f.backend)
	return cmd
}

func (f evalFlags) run(cmd *cobra.Command, recipe string) error {
	spec, err := loadRecipe(recipe, f.set)
	if err != nil {
		return err
	}
	if f.base != "" {
		// A model that is named is asked as it is, also with the recipe that made it.
		spec.BaseModel, spec.ReinitWeights = f.base, false
	}
	be, err := openBackend(cmd, f.backend, spec.CPUThreads)
	if err != nil {
		return err
	}
	defer be.Close()
	a, err := ask.Open(cmd.Context(), be, "", f.adapter, spec)
	if err != nil {
		return err
	}
	defer a.Close()
	loss, err := heldOut(cmd.Context(), a, spec)
	if err != nil {
		return err
	}
	return f.print(cmd, loss)
}

// heldOut computes the loss on what the spec holds out.
func heldOut(ctx context.Context, a *ask.Asker, spec job.Spec) (ask.Loss, error) {
	set, err := a.Data(ctx, spec, nil)
	if err != nil {
		return ask.Loss{}, err
	}
	defer set.Close()
	return a.HeldOut(ctx, set, shard.PlanOf(spec), nil)
}

func (f evalFlags) print(cmd *cobra.Command, l ask.Loss) error {
	if f.json {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(map[string]any{
			"held_out_loss": l.Mean(), "perplexity": l.Perplexity(), "bits_per_byte": l.BitsPerByte(),
			"examples": l.Examples, "tokens": l.Tokens, "bytes": l.Bytes,
		})
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "held-out loss %.4f nats per token, perplexity %.2f, %.4f bits per byte (%d examples, %d tokens, %d bytes)\n",
		l.Mean(), l.Perplexity(), l.BitsPerByte(), l.Examples, l.Tokens, l.Bytes)
	return err
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
