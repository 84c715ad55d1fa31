package main

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// techniques are the methods that compare knows, in the order of its rows, with
// what each is commonly used for.
var techniques = []struct{ method, use string }{
	{"full", "large changes of domain"},
	{"feature", "quick tasks, few resources"},
	{"adapter", "several tasks on one base"},
	{"prompt", "large models, quick trials"},
	{"lora", "several tasks, small files"},
	{"prefix", "cheap at inference, domains"},
	{"ia3", "the smallest files"},
	{"bitfit", "a cheap strong baseline"},
}

// compareFlags are what compare is told beside the recipe.
type compareFlags struct {
	methods, backend, out string
	set                   []string
	seeds, shots          int
	budget                time.Duration
	json, offline, force  bool
}

func compareCommand() *cobra.Command {
	var f compareFlags
	cmd := &cobra.Command{
		Use:   "compare RECIPE",
		Short: "Trains each technique on a recipe's data, and says which one to take",
		Long: `Trains each technique from the same base on the same data under the same budget, each
with the settings that suit it, and prints what came of it and what it cost, beside
what needs no training: the untuned base, the commonest class, a bag of words. Then
it says which technique to take, and why.

The recipe's own method keeps the recipe's settings; the others take their defaults,
learning rate included. Everything else (data, steps, batch, seed) is the recipe's.
--set changes a key for all, or with a method and a colon in front for that method.

With load_best_model_at_end in the recipe each technique is judged by its best state,
not by its last: of what is held out, so that is a little too good to be true.`,
		Example: `  carillon compare recipe.yaml --methods full,lora,prefix --seeds 3 --budget 10m
  carillon compare recipe.yaml --set lora:learning_rate=3e-3 --set prefix:num_epochs=10`,
		Args: arguments(1, 1, "RECIPE"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.methods, "methods", "all", "techniques to train, with commas between")
	flags.IntVar(&f.seeds, "seeds", 1, "runs of each technique, with seeds from the recipe's on")
	flags.DurationVar(&f.budget, "budget", 0, "the most time for one run, such as 10m; what is trained by then counts (default: no bound)")
	flags.IntVar(&f.shots, "shots", 4, "examples in the prompt of the untuned base, in a row of its own; 0: no such row")
	flags.BoolVar(&f.json, "json", false, "print one JSON object, and nothing else, on standard output")
	flags.BoolVar(&f.force, "force", false, "train techniques too that are predicted not to fit the memory")
	flags.BoolVar(&f.offline, "offline", false, "never fetch a compute backend from the network")
	flags.StringVar(&f.out, "out", "", "output directory (default: the recipe's output_dir with -compare)")
	flags.StringArrayVar(&f.set, "set", nil, "change a key of the recipe, as `key=value` or method:key=value; dotted inside a section: lora.r=16")
	backendFlag(cmd, &f.backend)
	return cmd
}

func (f compareFlags) run(cmd *cobra.Command, recipe string) error {
	c, err := f.prepare(cmd, recipe)
	if err != nil {
		return err
	}
	defer c.backend.Close()
	if err := c.foresee(cmd.Context()); err != nil {
		return err
	}
	if err := c.anchors(cmd.Context()); err != nil {
		return err
	}
	for _, method := range c.methods {
		row, err := c.technique(cmd.Context(), method)
		if err != nil {
			if cmd.Context().Err() != nil {
				return err
			}
			row.Failed = err.Error()
		}
		c.table.Rows = append(c.table.Rows, row)
	}
	c.table.Advice = c.table.Advise()
	c.view.end()
	if f.json {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(c.table)
	}
	c.table.Write(cmd.OutOrStdout())
	return nil
}

// chosen returns the methods to train, in the order of the rows.
func (f compareFlags) chosen(cmd *cobra.Command) (methods []string, err error) {
	want := strings.Split(f.methods, ",")
	for _, t := range techniques {
		if f.methods == "all" || slices.Contains(want, t.method) {
			methods = append(methods, t.method)
		}
	}
	for _, m := range want {
		if m != "all" && !slices.Contains(methods, m) {
			return nil, usage(cmd, "--methods: %q is unknown; want all, or some of %s", m, strings.Join(names(), ", "))
		}
	}
	return methods, nil
}

// ownKeys are the keys that may differ between techniques, beside those of their
// sections: others would give them other data.
var ownKeys = []string{
	"learning_rate", "lr_scheduler", "num_epochs", "max_steps", "warmup_ratio", "warmup_steps", "weight_decay", "max_grad_norm",
	"adam_beta1", "adam_beta2", "adam_epsilon", "unfrozen_parameters", "layer_lr_decay", "neftune_noise_alpha", "gradient_checkpointing",
}

// settings sorts what --set says into what is for all and what is for one method.
func (f compareFlags) settings(cmd *cobra.Command) (all []string, own map[string][]string, err error) {
	own = map[string][]string{}
	for _, change := range f.set {
		key, _, _ := strings.Cut(change, "=")
		method, rest, one := strings.Cut(key, ":")
		if !one {
			all = append(all, change)
			continue
		}
		if !slices.Contains(names(), method) {
			return nil, nil, usage(cmd, "--set %s: %q is no method; want one of %s", change, method, strings.Join(names(), ", "))
		}
		if !slices.Contains(ownKeys, rest) && !strings.Contains(rest, ".") {
			return nil, nil, usage(cmd, "--set %s: %s is the same for all methods; want one of %s, or a key of the method's section", change, rest, strings.Join(ownKeys, ", "))
		}
		own[method] = append(own[method], strings.TrimPrefix(change, method+":"))
	}
	return all, own, nil
}

func names() (all []string) {
	for _, t := range techniques {
		all = append(all, t.method)
	}
	return all
}
