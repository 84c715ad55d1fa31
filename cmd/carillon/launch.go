package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"carillon/launch"
	"carillon/objstore/open"
	"carillon/pki"
	"carillon/remote"
	"carillon/wire"
)

// launchFlags are the flags of launch.
type launchFlags struct {
	submit                           submitFlags
	hosts, store, devices, ssh, srun string
	port                             int
}

func launchCommand() *cobra.Command {
	var f launchFlags
	cmd := &cobra.Command{
		Use:   "launch RECIPE",
		Short: "Trains on machines that ssh reaches, or in a Slurm allocation",
		Long: `Trains on machines that ssh reaches, or in a Slurm allocation: copies this program to each,
starts coordinators on the first three (one, if there are fewer than three) and a node on
each, submits the recipe, shows how it goes, fetches what it came to, and takes everything
away again. The hash is that of carillon train (with the same --set lanes=N, where lanes
are chosen for the recipe's max_nodes).

A host file has a host a line, as DeepSpeed and MPI write it. Where it says slots=N, that
many processes of the kind that --devices names are started:

  gpu1 slots=4
  alice@gpu2

ssh has to work without a password, and every machine has to reach every other by the
names in the file. Inside a Slurm allocation no file is needed: srun starts everything.

The store is a bucket, or a folder that all machines see. Ctrl-C and SIGTERM end the job
with a checkpoint; --resume goes on with it, on other machines too.`,
		Example: `  carillon launch recipe.yaml --hosts hosts --store s3://bucket/team
  sbatch deploy/slurm/carillon.sbatch recipe.yaml`,
		Args: arguments(1, 1, "the recipe, a YAML file"),
		RunE: func(cmd *cobra.Command, args []string) error { return f.run(cmd, args[0]) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.hosts, "hosts", "", "the host `file` (default: those of the Slurm allocation)")
	flags.StringVar(&f.store, "store", "", "the `address` of the object store (default: the recipe's)")
	flags.StringVar(&f.devices, "devices", "all", "what each machine trains on, as for carillon node")
	flags.IntVar(&f.port, "port", wire.HubPort, "the first of the `port`s that are listened on: this, the next, and one for each device from the one after that")
	flags.StringVar(&f.ssh, "ssh", "ssh", "the `command` that reaches a host")
	flags.StringVar(&f.srun, "srun", "srun", "the `command` that starts a step of the allocation")
	flags.StringVar(&f.submit.name, "name", "", "of the job (default: the recipe's file name)")
	flags.StringVar(&f.submit.out, "out", "", "output directory (default: the recipe's output_dir)")
	flags.BoolVar(&f.submit.resume, "resume", remote.Requeued(), "go on from the newest checkpoint in the store (default: where Slurm has started this job again)")
	flags.BoolVar(&f.submit.json, "json", false, "print one JSON object at the end, and nothing else, on standard output")
	setFlag(cmd, &f.submit.set)
	return cmd
}

func (f launchFlags) run(cmd *cobra.Command, recipe string) error {
	hosts, carrier, err := f.machines()
	if err != nil {
		return err
	}
	f.submit.wait = true
	cfg, err := f.config(recipe)
	if err != nil {
		return err
	}
	v := newView(cmd.ErrOrStderr(), cfg.Spec.LoggingSteps)
	defer v.end()
	cfg.View = v
	v.Note(efficiency(cfg.Spec))
	notices := make(chan string, 64)
	cfg.Notices = notices
	rc, err := f.remote(cfg, hosts, carrier)
	if err != nil {
		return err
	}
	rc.Note = func(text string) {
		select {
		case notices <- text:
		default: // too many at once: the logs have them
		}
	}
	c, err := remote.Start(cmd.Context(), rc)
	if err != nil {
		return err
	}
	defer c.Stop()
	res, err := f.train(cmd.Context(), cfg, c)
	v.end()
	if err != nil {
		return err
	}
	return f.submit.tell(cmd.OutOrStdout(), recipe, res)
}

// train submits the job to the cluster that was started.
func (f launchFlags) train(ctx context.Context, cfg launch.Config, c *remote.Cluster) (launch.Result, error) {
	id, err := c.Identity()
	if err != nil {
		return launch.Result{}, err
	}
	urls, err := c.URLs()
	if err != nil {
		return launch.Result{}, err
	}
	control, err := wire.Dial(wire.ControlConfig{Coordinators: urls, TLS: id.Client(pki.Coordinator), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return launch.Result{}, err
	}
	defer control.Close()
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	lost := make(chan error, 1)
	go func() { lost <- c.Watch(watching) }()
	type outcome struct {
		res launch.Result
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		res, err := launch.Submit(ctx, cfg, control, true)
		done <- outcome{res, err}
	}()
	select {
	case o := <-done:
		return o.res, o.err
	case err := <-lost:
		return launch.Result{}, fmt.Errorf("no majority of the coordinators is left: %w", err)
	}
}

// machines are the hosts, and how commands get there.
func (f launchFlags) machines() ([]remote.Host, remote.Carrier, error) {
	if f.hosts != "" {
		hosts, err := remote.ReadHosts(f.hosts)
		return hosts, remote.SSH{Program: strings.Fields(f.ssh)}, err
	}
	hosts, err := remote.Allocation()
	return hosts, remote.Srun{Program: strings.Fields(f.srun)}, err
}

// config is the job's, and checks what the cluster will need.
func (f launchFlags) config(recipe string) (launch.Config, error) {
	store := f.store
	spec, err := loadRecipe(recipe, f.submit.set)
	if err != nil {
		return launch.Config{}, err
	}
	if store == "" {
		store = spec.Store
	}
	if store == "" {
		return launch.Config{}, errors.New("--store is missing: s3://BUCKET/PREFIX, or a folder that all machines see")
	}
	f.submit.set = append(append([]string{}, f.submit.set...), "store=")
	cfg, err := f.submit.config(recipe)
	if err != nil {
		return cfg, err
	}
	cfg.EndWithCtx = true
	cfg.Spec.Store, err = open.Absolute(store)
	return cfg, err
}

// forwarded are the variables that tell where a store is, and who asks.
var forwarded = []string{
	"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3",
	"AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_CA_BUNDLE", "AWS_EC2_METADATA_DISABLED",
}

func (f launchFlags) remote(cfg launch.Config, hosts []remote.Host, carrier remote.Carrier) (remote.Config, error) {
	exe, err := os.Executable()
	if err != nil {
		return remote.Config{}, err
	}
	logs, err := filepath.Abs(filepath.Join(cfg.Spec.OutputDir, launch.LogDir))
	if err != nil {
		return remote.Config{}, err
	}
	return remote.Config{
		Hosts: hosts, Carrier: carrier, Program: exe, Job: cfg.Job, Store: cfg.Spec.Store, Devices: f.devices, Port: f.port,
		Env: forwarded, LogDir: logs,
	}, os.MkdirAll(logs, 0o755)
}
