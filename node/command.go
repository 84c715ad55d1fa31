package node

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"carillon/backend"
	"carillon/job"
)

// Command is a node's process: it reads its flags and runs until the job has
// ended, ctx ends, or stdin closes, which is how a parent's death is noticed.
// It logs to stderr.
func Command(ctx context.Context, args []string, stdin io.Reader, stderr io.Writer) error {
	cfg := Config{Log: slog.New(slog.NewTextHandler(stderr, nil))}
	flags := flag.NewFlagSet("node", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar((*string)(&cfg.Job), "job", "", "id of the job")
	flags.StringVar(&cfg.Name, "name", "", "name of this node, unique in the job")
	coordinators := flags.String("coordinators", "", "addresses of the coordinators' hubs, with commas between")
	flags.StringVar(&cfg.Cache, "cache", "", "folder for shards")
	flags.StringVar(&cfg.Backend.Name, "backend", backend.Auto, "what computes: auto, cpu (XLA) or go")
	flags.StringVar(&cfg.Backend.CacheDir, "plugins", "", "folder of the backend's plugins")
	flags.BoolVar(&cfg.Backend.Offline, "offline", false, "never fetch a plugin")
	flags.Func("drill", "a drill that this node should know of; may be given again", func(s string) error {
		d, err := job.ParseDrills(s)
		cfg.Drills = append(cfg.Drills, d...)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	for name, value := range map[string]string{"job": string(cfg.Job), "name": cfg.Name, "coordinators": *coordinators, "cache": cfg.Cache} {
		if value == "" {
			return fmt.Errorf("node: --%s is missing", name)
		}
	}
	cfg.Coordinators = strings.Split(*coordinators, ",")
	cfg.Backend.Log = cfg.Log
	ctx, stop := untilClosed(ctx, stdin)
	defer stop()
	return Run(ctx, cfg)
}

// untilClosed returns a context that ends when r does.
func untilClosed(ctx context.Context, r io.Reader) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	go func() { // a read cannot be cancelled: it ends with the process at the latest
		_, _ = io.Copy(io.Discard, r)
		cancel()
	}()
	return ctx, cancel
}
