package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/spf13/cobra"

	"carillon/backend"
	"carillon/job"
	"carillon/launch"
	"carillon/spot"
)

// trainFlags are what train is told beside the recipe.
type trainFlags struct {
	backend, out, drill string
	store, spot         string
	set                 []string
	nodes, coordinators int
	json, resume        bool
	offline             bool
	dryRun, force       bool
}

func trainCommand() *cobra.Command {
	var f trainFlags
	cmd := &cobra.Command{
		Use:   "train RECIPE",
		Short: "Trains what a recipe describes, on this machine",
		Long: `Trains what a recipe describes, on this machine: coordinators and nodes as processes
of their own, which talk as they would on many machines, and a folder or a bucket as
the object store. Checkpoints (without --store), logs, metrics.jsonl and the adapter (a
PEFT directory), or the model, are in the output directory.

The adapter has the same SHA-256 on any number of nodes, whatever dies on the way:

  carillon train recipe.yaml --nodes 3 --drill kill=n2@7,kill=coordinator@9,join=n4@12

kills node n2 in the middle of step 7 and the leading coordinator after step 9, and
lets a fresh node in after step 12.

Ctrl-C saves a checkpoint and leaves; --resume goes on from the newest one, on any
number of nodes. A second Ctrl-C leaves at once. With --store it goes on on any machine
that has the recipe and the base model; "carillon store check --help" tells of addresses
and credentials.

On a spot machine the cloud's notice that it will be taken away does what Ctrl-C does:
with --store in a bucket, another machine goes on.

Method feature has no coordinators: its nodes read each example once with the base
model and keep what came of it in the folder features of the store, and this process
fits what is on top. A second run reads nothing again.`,
		Args: arguments(1, 1, "the recipe, a YAML file"),
		RunE: func(cmd *cobra.Command, args []string) error { return runTrain(cmd, args[0], f) },
	}
	flags := cmd.Flags()
	backendFlag(cmd, &f.backend)
	flags.BoolVar(&f.offline, "offline", false, "never fetch a compute backend from the network")
	flags.BoolVar(&f.json, "json", false, "print one JSON object at the end, and nothing else, on standard output")
	flags.IntVar(&f.nodes, "nodes", 0, "node processes (default: the recipe's nodes, or 1)")
	flags.IntVar(&f.coordinators, "coordinators", 3, "coordinator processes: 3, or 1 for small machines")
	flags.StringVar(&f.out, "out", "", "output directory (default: the recipe's output_dir)")
	flags.StringVar(&f.store, "store", "", "address of the object store: a folder, or s3://BUCKET/PREFIX (default: the recipe's store, or the folder store in the output directory)")
	flags.StringVar(&f.spot, "spot", "auto", "whose notices to heed that this machine is taken away: auto, aws, gcp, azure or off")
	setFlag(cmd, &f.set)
	flags.StringVar(&f.drill, "drill", "", "failures to rehearse: kill=n2@7,kill=coordinator@9,join=n4@12")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print what the job is predicted to take of the memory, by parts, and start nothing")
	flags.BoolVar(&f.force, "force", false, "start a job that is predicted not to fit the memory")
	flags.BoolVar(&f.resume, "resume", false, "go on from the newest checkpoint in the store")
	return cmd
}

// runTrain runs a recipe and tells how it ended.
func runTrain(cmd *cobra.Command, recipe string, f trainFlags) error {
	cfg, err := f.config(cmd, recipe)
	if err != nil {
		return err
	}
	if cfg.Spec.Method == "feature" {
		if f.dryRun || f.force {
			return usage(cmd, "--dry-run and --force are about the memory of nodes; method feature has none")
		}
		return f.runFeature(cmd, cfg)
	}
	v := newView(cmd.ErrOrStderr(), cfg.Spec.LoggingSteps)
	defer v.end()
	cfg.View = v
	if err := f.choose(cmd, &cfg, v); err != nil {
		return err
	}
	if f.dryRun {
		return foresee(cmd, cfg, v)
	}
	ctx, stop, err := f.heedNotices(cmd, &cfg)
	if err != nil {
		return err
	}
	defer stop(nil)
	res, err := launch.Run(ctx, cfg)
	if err != nil {
		return err
	}
	v.end()
	if f.json {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(res)
	}
	return f.tell(cmd.OutOrStdout(), res, recipe)
}

// heedNotices returns a context that ends when the cloud takes this machine away.
func (f trainFlags) heedNotices(cmd *cobra.Command, cfg *launch.Config) (context.Context, context.CancelCauseFunc, error) {
	cloud, err := spot.ParseCloud(f.spot)
	if err != nil {
		return nil, nil, usage(cmd, "--spot: %v", err)
	}
	ctx, leave := context.WithCancelCause(cmd.Context())
	notices := make(chan string, 16)
	cfg.Notices = notices
	go spot.Watch(ctx, cloud, func(n spot.Notice) {
		if n.Leave {
			leave(&launch.Leave{Reason: n.String()})
			return
		}
		select {
		case notices <- n.String():
		default: // nobody looks any more
		}
	})
	return ctx, leave, nil
}

// config reads the recipe and applies the flags to it.
func (f trainFlags) config(cmd *cobra.Command, recipe string) (launch.Config, error) {
	spec, err := loadRecipe(recipe, f.set)
	if err != nil {
		return launch.Config{}, err
	}
	if cmd.Flags().Changed("nodes") {
		if f.nodes < 1 {
			return launch.Config{}, usage(cmd, "--nodes %d: want a number from 1", f.nodes)
		}
		spec.Nodes = f.nodes
	}
	if f.out != "" {
		spec.OutputDir = f.out
	}
	if f.store != "" {
		spec.Store = f.store
	}
	if err := spec.Validate(); err != nil {
		return launch.Config{}, fmt.Errorf("%s: %w", recipe, err)
	}
	if f.coordinators != 1 && f.coordinators != 3 {
		return launch.Config{}, usage(cmd, "--coordinators %d: want 1 or 3, a majority must live", f.coordinators)
	}
	drills, err := job.ParseDrills(f.drill)
	if err != nil {
		return launch.Config{}, usage(cmd, "--drill: %v", err)
	}
	exe, err := os.Executable()
	return launch.Config{
		Job: jobID(recipe), Spec: spec, Coordinators: f.coordinators, Drills: drills, Resume: f.resume, Force: f.force,
		Command: []string{exe}, Log: slog.New(slog.DiscardHandler),
	}, err
}

// choose decides once, for all nodes, what computes.
func (f trainFlags) choose(cmd *cobra.Command, cfg *launch.Config, v *view) error {
	c, err := backend.Choose(cmd.Context(), backend.Options{Name: f.backend, Threads: cfg.Spec.CPUThreads, Offline: f.offline, Progress: cmd.ErrOrStderr(), Prober: prober()})
	if err != nil {
		return err
	}
	v.Note("backend: " + c.Why)
	cfg.NodeFlags, cfg.Kind = nodeFlags(c), c.Kind
	return nil
}

// foresee prints what a job would take, and errs where it would be refused.
func foresee(cmd *cobra.Command, cfg launch.Config, v *view) error {
	p, err := launch.Foresee(cmd.Context(), cfg)
	v.end()
	if p.Nodes > 0 {
		fmt.Fprintln(cmd.OutOrStdout(), p.Table())
	}
	return err
}

var notInID = regexp.MustCompile(`[^a-z0-9-]+`)

// longestID is the length of the longest name of a job.
const longestID = 63

// jobID names a job after its recipe.
func jobID(recipe string) job.ID {
	name := strings.TrimSuffix(filepath.Base(recipe), filepath.Ext(recipe))
	id := strings.Trim(notInID.ReplaceAllString(strings.ToLower(name), "-"), "-")
	id = strings.Trim(id[:min(len(id), longestID)], "-")
	if id == "" {
		id = "job"
	}
	return job.ID(id)
}

// tell says how a run ended, for people.
func (f trainFlags) tell(w io.Writer, r launch.Result, recipe string) error {
	if r.Stopped {
		var set strings.Builder // without these flags it would be another job
		for _, s := range f.set {
			fmt.Fprintf(&set, " --set '%s'", s)
		}
		if f.store != "" {
			fmt.Fprintf(&set, " --store '%s'", f.store)
		}
		_, err := fmt.Fprintf(w, "stopped after step %d; go on with: carillon train %s%s --out %s --resume\n", r.Steps, recipe, set.String(), r.OutputDir)
		return err
	}
	held := ""
	if r.HeldOutLoss != nil {
		held = fmt.Sprintf(", held-out loss %.4f", *r.HeldOutLoss)
	}
	if r.BestStep > 0 {
		held += fmt.Sprintf(" after step %d, the best", r.BestStep)
	}
	if r.EarlyStopped {
		held += "; stopped early"
	}
	_, err := fmt.Fprintf(w, "%d steps in %.1f s, loss %.4f%s\n%s\nsha256 %s\n", r.Steps, r.Seconds, r.Loss, held, r.Export, r.AdapterSHA256)
	return err
}
