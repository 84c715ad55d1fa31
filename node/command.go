package node

import (
	"context"
	"errors"
	"flag"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"carillon/backend"
	"carillon/child"
	"carillon/job"
	"carillon/pki"
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
	flags.StringVar(&cfg.Listen, "listen", "", "host:port for other nodes (default: any free port of loopback)")
	flags.StringVar(&cfg.Advertise, "advertise", "", "host under which other nodes reach this one")
	flags.BoolVar(&cfg.Hub, "hub", false, "listen nowhere: other nodes reach this one through a coordinator")
	var certs pki.Files
	flags.StringVar(&certs.CA, "tls-ca", "", "certificates of whom to trust (default: none, on loopback only)")
	flags.StringVar(&certs.Cert, "tls-cert", "", "this machine's certificate")
	flags.StringVar(&certs.Key, "tls-key", "", "its key")
	flags.StringVar(&cfg.Cache, "cache", "", "folder for shards")
	flags.StringVar(&cfg.Weights, "weights", "", "folder for base weights that all nodes of this machine map, on the CPU (default: each has its own copy)")
	flags.StringVar(&cfg.Backend.Name, "backend", backend.Auto, "what computes: auto, cuda, tpu, cpu (XLA) or go; cuda:FILE and tpu:FILE name the plugin")
	flags.StringVar(&cfg.Backend.CacheDir, "plugins", "", "folder of the backend's plugins")
	flags.BoolVar(&cfg.Backend.Offline, "offline", false, "never fetch a plugin")
	flags.BoolVar(&cfg.Backend.Tried, "tried", false, "the device was tried by who started this process")
	flags.Func("drill", "a drill that this node should know of; may be given again", func(s string) error {
		d, err := job.ParseDrills(s)
		cfg.Drills = append(cfg.Drills, d...)
		return err
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := child.Required(flags, "job", "name", "coordinators", "cache"); err != nil {
		return err
	}
	cfg.Coordinators = strings.Split(*coordinators, ",")
	if certs.CA != "" {
		id, err := pki.Load(certs)
		if err != nil {
			return err
		}
		cfg.Identity = id
	}
	cfg.Backend.Log = cfg.Log
	if exe, err := os.Executable(); err == nil {
		cfg.Backend.Prober = []string{exe, "probe"} // a verb of the program that has this one
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(GarbagePercent)
	}
	ctx, stop := child.Context(context.WithoutCancel(ctx), stdin)
	defer stop()
	cfg.Leave = asked(ctx)
	err := Run(ctx, cfg)
	if errors.Is(err, ErrBusy) {
		os.Exit(0) // it has said that it leaves
	}
	if errors.Is(err, ErrLeft) {
		return nil
	}
	return err
}

// asked tells of a signal to leave; a second one ends the process at once.
func asked(ctx context.Context) <-chan string {
	leave, signals := make(chan string, 1), make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	go func() { // ends with the process
		leave <- (<-signals).String()
		select {
		case <-signals:
			os.Exit(1)
		case <-ctx.Done():
		}
	}()
	return leave
}

// GarbagePercent is how much garbage a node may hold, of what it needs. What it needs
// is large vectors without pointers, so that looking for garbage costs nothing; Go's
// own 100 would double the memory of a full tuning.
const GarbagePercent = 10
