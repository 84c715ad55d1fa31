package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"carillon/coordinator"
	"carillon/objstore"
	"carillon/objstore/open"
	"carillon/pki"
	"carillon/wire"
)

// coordinatorFlags are the flags of coordinator.
type coordinatorFlags struct {
	cert                                      certFlags
	name, listen, advertise, join, dir, store string
	metrics                                   string
	expect                                    int
	hold                                      bool
}

func coordinatorCommand() *cobra.Command {
	var f coordinatorFlags
	cmd := &cobra.Command{
		Use:   "coordinator",
		Short: "Keeps a cluster together, with two others",
		Long: `Keeps a cluster together: it votes on who trains and which checkpoints count, queues jobs
and certifies nodes. Start three of them on machines that stay, each with the same
--join; they begin when all are there. One may die; without two of them training goes on,
and nothing else does. Started again with its --dir a coordinator goes on; with an empty
one it is a new one, and takes the place of the one of its name.

It listens on two ports: that of --listen, for nodes, users and coordinators, and the
next one, for coordinators. Outside loopback it needs a certificate (carillon ca issue).`,
		Example: `  carillon coordinator --name c1 --join c1,c2,c3 --bootstrap-expect 3 --tls c1 --store s3://bucket/team --dir /var/lib/carillon`,
		Args:    arguments(0, 0, ""),
		RunE:    func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "of this coordinator (default: the host's name)")
	flags.StringVar(&f.listen, "listen", fmt.Sprintf(":%d", wire.HubPort), "`host:port` to listen on, and on the next port")
	flags.StringVar(&f.advertise, "advertise", "", "`host` under which others reach this one (default: as the others see it)")
	flags.StringVar(&f.join, "join", "", "the first coordinators, `host` or host:port, with commas between; this one among them")
	flags.IntVar(&f.expect, "bootstrap-expect", 3, "how many of them there are: 1, 3 or 5")
	flags.StringVar(&f.dir, "dir", "", "the `directory` for the ledger and the metrics, of this coordinator alone")
	flags.StringVar(&f.store, "store", "", "the `address` of the object store: s3://BUCKET/PREFIX, or a folder that all machines see")
	flags.StringVar(&f.metrics, "metrics", "", "`host:port` for Prometheus, /metrics over plain HTTP (default: none)")
	f.cert.add(cmd)
	holdFlag(cmd, &f.hold)
	return cmd
}

func (f coordinatorFlags) run(cmd *cobra.Command) error {
	if err := required(cmd, "join", "dir", "store"); err != nil {
		return err
	}
	cfg, err := f.config(cmd)
	if err != nil {
		return err
	}
	ctx, leave, stop := leaves(cmd, f.hold)
	defer stop()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case why := <-leave:
			cfg.Log.Info("leaving", "why", why)
			cancel(context.Canceled)
		case <-ctx.Done():
		}
	}()
	return f.keep(ctx, cfg)
}

// keep opens the store and runs the coordinator.
func (f coordinatorFlags) keep(ctx context.Context, cfg coordinator.Config) (err error) {
	if cfg.Store, err = open.Store(ctx, cfg.StoreAt); err != nil {
		return err
	}
	gauges := coordinator.NewGauges()
	cfg.Store = objstore.Counted(cfg.Store, gauges.Count)
	if err := objstore.Broken(objstore.Probe(ctx, cfg.Store)); err != nil && ctx.Err() == nil {
		return fmt.Errorf("the store %s cannot keep checkpoints (carillon store check says more): %w", cfg.StoreAt, err)
	}
	c, err := coordinator.Open(ctx, cfg)
	if err != nil {
		return err
	}
	gauges.Of(c)
	if err := f.tell(ctx, gauges); err != nil {
		return err
	}
	err = c.Run(ctx)
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// tell answers Prometheus, where that was asked for.
func (f coordinatorFlags) tell(ctx context.Context, g *coordinator.Gauges) error {
	if f.metrics == "" {
		return nil
	}
	l, err := net.Listen("tcp", f.metrics)
	if err != nil {
		return fmt.Errorf("--metrics: %w", err)
	}
	go g.Serve(ctx, l) // ends with ctx
	return nil
}

func (f coordinatorFlags) config(cmd *cobra.Command) (cfg coordinator.Config, err error) {
	k := &coordinator.Council{Name: f.name, Listen: f.listen, Advertise: f.advertise}
	if k.Name == "" {
		if k.Name, err = hostName(); err != nil {
			return cfg, err
		}
	}
	if err := pki.CheckName(k.Name); err != nil {
		return cfg, usage(cmd, "--name: %v", err)
	}
	if k.Join, err = wire.HubURLs(f.join); err != nil {
		return cfg, usage(cmd, "--join: %v", err)
	}
	if f.expect != len(k.Join) || f.expect%2 == 0 || f.expect > 5 {
		return cfg, usage(cmd, "--bootstrap-expect %d, and --join names %d: want both 1, 3 or 5", f.expect, len(k.Join))
	}
	cfg = coordinator.Config{Council: k, Dir: f.dir, OutputDir: filepath.Join(f.dir, "jobs"), Log: slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))}
	if cfg.StoreAt, err = open.Absolute(f.store); err != nil {
		return cfg, err
	}
	if cfg.Identity, err = f.cert.identity(cmd, pki.Coordinator); err != nil {
		return cfg, err
	}
	if cfg.Identity != nil && f.cert.dir != "" {
		if cfg.Issuer, err = pki.OpenIssuer(f.cert.dir); err != nil {
			return cfg, err
		}
	}
	return cfg, f.reachable(k)
}

// reachable fills in how others reach this coordinator.
func (f coordinatorFlags) reachable(k *coordinator.Council) error {
	host, _, err := net.SplitHostPort(k.Listen)
	if err != nil {
		return fmt.Errorf("--listen %q: %w; want host:port", k.Listen, err)
	}
	if ip := net.ParseIP(host); k.Advertise != "" || host != "" && (ip == nil || !ip.IsUnspecified()) {
		return nil
	}
	for _, other := range k.Join {
		host, _, _ := net.SplitHostPort(strings.TrimPrefix(other, "nats://"))
		own, err := wire.OwnHost(other)
		if ip := net.ParseIP(own); err == nil && own != host && ip != nil && !ip.IsLoopback() { // else it is this machine
			k.Advertise = own
			return nil
		}
	}
	return errors.New("--advertise is missing: the host under which other coordinators and nodes reach this one")
}
