package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"carillon/job"
	"carillon/launch"
	"carillon/roster"
)

// submitFlags are the flags of submit.
type submitFlags struct {
	cluster            clusterFlags
	name, out          string
	set                []string
	wait, resume, json bool
}

func submitCommand() *cobra.Command {
	var f submitFlags
	cmd := &cobra.Command{
		Use:   "submit RECIPE",
		Short: "Gives a job to a cluster",
		Long: `Gives a job to a cluster: tokenizes the data here, puts it and the base model into the
cluster's store (what is there already is not sent again), and tells the coordinators.
Jobs are worked on in the order of their submission, each by every node there is, at most
the recipe's max_nodes, or lanes. It begins with min_nodes, and waits ten seconds for more.
Where the recipe leaves lanes out and sets max_nodes, they are chosen for it, and printed:
carillon train with the same --set lanes=N is the same job.

With --wait it shows how the job goes, and puts the adapter, or the model, and
metrics.jsonl into the output directory at the end. Ctrl-C only stops looking; "carillon
cancel" ends a job. The adapter's hash is that of carillon train.

This machine reads and writes the store, too: "carillon store check --help" tells of
credentials.`,
		Example: `  carillon submit recipe.yaml --coordinators c1,c2,c3 --tls alice --wait`,
		Args:    arguments(1, 1, "the recipe, a YAML file"),
		RunE:    func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	f.cluster.add(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "of the job (default: the recipe's file name)")
	flags.StringVar(&f.out, "out", "", "output directory, with --wait (default: the recipe's output_dir)")
	flags.BoolVar(&f.wait, "wait", false, "look on until the job has ended, and fetch what it came to")
	flags.BoolVar(&f.resume, "resume", false, "go on from the newest checkpoint of a job of that name in the store")
	flags.BoolVar(&f.json, "json", false, "print one JSON object at the end, and nothing else, on standard output")
	setFlag(cmd, &f.set)
	return cmd
}

func (f submitFlags) run(cmd *cobra.Command, recipe string) error {
	cfg, err := f.config(recipe)
	if err != nil {
		return err
	}
	c, err := f.cluster.dial(cmd)
	if err != nil {
		return err
	}
	defer c.Close()
	v := newView(cmd.ErrOrStderr(), cfg.Spec.LoggingSteps)
	defer v.end()
	cfg.View = v
	v.Note(efficiency(cfg.Spec))
	res, err := launch.Submit(cmd.Context(), cfg, c, f.wait)
	v.end()
	if errors.Is(err, launch.ErrGoesOn) && cmd.Context().Err() != nil {
		fmt.Fprintf(cmd.ErrOrStderr(), "carillon: %v\n", err)
		return nil
	}
	if err != nil {
		return err
	}
	return f.tell(cmd.OutOrStdout(), recipe, res)
}

func (f submitFlags) tell(w io.Writer, recipe string, res launch.Result) error {
	switch {
	case f.json:
		return json.NewEncoder(w).Encode(res)
	case f.wait:
		return trainFlags{set: f.set}.tell(w, res, recipe)
	}
	_, err := fmt.Fprintf(w, "job %s is submitted; carillon status %s and carillon logs %s tell how it goes\n", res.Job, res.Job, res.Job)
	return err
}

// spread chooses the lanes where the recipe leaves them out and says how many nodes there
// will be at most.
func (f submitFlags) spread(recipe string, s *job.Spec) error {
	said, err := job.Says(recipe, "lanes")
	if err != nil || said || s.MaxNodes == 0 || slices.ContainsFunc(f.set, func(kv string) bool { return strings.HasPrefix(kv, "lanes=") }) {
		return err
	}
	return s.Set("lanes", strconv.Itoa(roster.ChooseLanes(s.MinNodes, s.MaxNodes)))
}

// efficiency tells how much of their time nodes are at work, at every number of them.
func efficiency(s job.Spec) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d lanes, batches of %d:", s.Lanes, s.Lanes*s.MicroBatchSize)
	least := max(1, s.MinNodes)
	most := min(cmp.Or(s.MaxNodes, s.Lanes), least+maxShown-1)
	for n := least; n <= most; n++ {
		fmt.Fprintf(&b, " %d %.0f %%", n, 100*roster.Efficiency(s.Lanes, n))
		if n < most {
			b.WriteByte(',')
		}
	}
	return b.String() + " (nodes, and how much of their time is used)"
}

// maxShown bounds a line.
const maxShown = 16

func (f submitFlags) config(recipe string) (cfg launch.Config, err error) {
	cfg = launch.Config{Job: jobID(recipe), Resume: f.resume, Log: slog.New(slog.DiscardHandler)}
	if cfg.Spec, err = loadRecipe(recipe, f.set); err != nil {
		return cfg, err
	}
	if err := f.spread(recipe, &cfg.Spec); err != nil {
		return cfg, err
	}
	if f.name != "" {
		if cfg.Job = job.ID(f.name); jobID(f.name) != cfg.Job {
			return cfg, fmt.Errorf("--name %q: want small letters, digits and -", f.name)
		}
	}
	if f.out != "" {
		cfg.Spec.OutputDir = f.out
	}
	if cfg.Spec.Store != "" {
		return cfg, fmt.Errorf("%s: store: %s; a cluster has its own: leave the key out", recipe, cfg.Spec.Store)
	}
	return cfg, nil
}
