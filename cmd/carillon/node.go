package main

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"carillon/agent"
	"carillon/backend"
	"carillon/coordinator"
	"carillon/node"
	"carillon/pki"
	"carillon/spot"
	"carillon/wire"
)

// machineFlags are the flags of node.
type machineFlags struct {
	cert                                        certFlags
	name, coordinators, tokenFile               string
	dir, listen, advertise, devices, spot, back string
	offline, hold, hub                          bool
}

func nodeCommand() *cobra.Command {
	var f machineFlags
	cmd := &cobra.Command{
		Use:   "node",
		Short: "Offers this machine to a cluster",
		Long: `Offers this machine to a cluster: for each device one process trains at the job that the
cluster works on, one job after another.

With a token (carillon ca token) the machine makes its key itself and gets a certificate,
which it keeps in --dir and renews; later it starts without one. With --tls it has a
certificate already. Without any of these everything must be on loopback.

SIGTERM, Ctrl-C, "carillon drain" and a cloud's notice that it takes the machine away all
make it leave: the others take over at the end of a step, no step is lost, and it ends
within 25 seconds. A second signal ends it at once.`,
		Example: `  carillon node --token-file token --devices cuda:0,1
  CARILLON_TOKEN=... carillon node
  carillon node --coordinators c1,c2,c3 --tls n1`,
		Args: arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "of this machine (default: the certificate's, or the host's name)")
	flags.StringVar(&f.coordinators, "coordinators", os.Getenv("CARILLON_COORDINATORS"), "the coordinators, `host` or host:port, with commas between (default: the token's; $CARILLON_COORDINATORS)")
	flags.StringVar(&f.tokenFile, "token-file", "", "the `file` with the join token; or $CARILLON_TOKEN")
	f.cert.add(cmd)
	flags.StringVar(&f.dir, "dir", stateDir(), "what this machine keeps: certificate, data, base models")
	flags.StringVar(&f.listen, "listen", "", "`host:port` for other nodes; a second device has the next port (default: every address, port 7402; on loopback any)")
	flags.StringVar(&f.advertise, "advertise", "", "`host` under which other nodes reach this machine (default: as the coordinators see it)")
	flags.BoolVar(&f.hub, "hub", false, "listen nowhere, where nobody can connect to this machine: other nodes reach it through a coordinator, which all its gradients then pass")
	flags.StringVar(&f.devices, "devices", "all", "what to offer: all, cpu, cpu:N (N processes), cuda:0,1, tpu or go")
	flags.StringVar(&f.back, "backend", "", "what computes, instead of what the devices say: cuda:FILE and tpu:FILE name the plugin")
	flags.BoolVar(&f.offline, "offline", false, "never fetch a compute backend from the network")
	flags.StringVar(&f.spot, "spot", "auto", "whose notices to heed that this machine is taken away: auto, aws, gcp, azure or off")
	holdFlag(cmd, &f.hold)
	return cmd
}

// holdFlag adds what ends a process that somebody started from afar.
func holdFlag(cmd *cobra.Command, hold *bool) {
	cmd.Flags().BoolVar(hold, "until-stdin-ends", false, "leave when standard input ends, as it does with the connection of who started this")
}

func (f machineFlags) run(cmd *cobra.Command) error {
	cfg, err := f.config(cmd)
	if err != nil {
		return err
	}
	ctx, leave, stop := leaves(cmd, f.hold)
	defer stop()
	return agent.Run(ctx, cfg, leave)
}

// leaves tells why this process is to leave: a signal, or the end of its input. The
// context ends at a second one.
func leaves(cmd *cobra.Command, hold bool) (context.Context, <-chan string, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(cmd.Context()))
	leave, signals := make(chan string, 2), make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if hold {
		go func() { // a read cannot be cancelled: it ends with the process at the latest
			_, _ = io.Copy(io.Discard, cmd.InOrStdin())
			leave <- "standard input has ended"
		}()
	}
	go func() {
		defer signal.Stop(signals)
		select {
		case s := <-signals:
			leave <- s.String()
		case <-ctx.Done():
			return
		}
		select {
		case <-signals:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, leave, cancel
}

func (f machineFlags) config(cmd *cobra.Command) (cfg agent.Config, err error) {
	id, err := f.cert.identity(cmd, pki.Node)
	if err != nil {
		return cfg, err
	}
	if cfg.Name = f.name; cfg.Name == "" {
		if cfg.Name, err = hostName(); err != nil {
			return cfg, err
		}
		if id != nil {
			cfg.Name = id.Name().Name
		}
	}
	if id != nil && id.Name().Name != cfg.Name {
		return cfg, usage(cmd, "--name %s, and the certificate is of %s: want the same", cfg.Name, id.Name())
	}
	if err := pki.CheckName(cfg.Name); err != nil {
		return cfg, usage(cmd, "--name: %v", err)
	}
	if cfg.Token, err = f.token(); err != nil {
		return cfg, err
	}
	if f.coordinators != "" {
		if cfg.Coordinators, err = wire.HubURLs(f.coordinators); err != nil {
			return cfg, usage(cmd, "--coordinators: %v", err)
		}
	}
	if cfg.TLS, err = f.cert.files(cmd); err != nil {
		return cfg, err
	}
	if cfg.Devices, err = agent.ParseDevices(f.devices); err != nil {
		return cfg, usage(cmd, "--%v", err)
	}
	if cfg.Cloud, err = spot.ParseCloud(f.spot); err != nil {
		return cfg, usage(cmd, "--spot: %v", err)
	}
	exe, err := os.Executable()
	if err != nil {
		return cfg, err
	}
	for i := range cfg.Devices {
		cfg.Devices[i].Backend = cmp.Or(f.back, cfg.Devices[i].Backend)
	}
	cfg.Dir, cfg.Listen, cfg.Advertise, cfg.Command = f.dir, f.listen, f.advertise, []string{exe}
	cfg.Backend = backend.Options{Offline: f.offline, Progress: cmd.ErrOrStderr(), Prober: prober()}
	if cfg.Hub = f.hub; f.hub && (f.listen != "" || f.advertise != "") {
		return cfg, usage(cmd, "--hub listens nowhere: leave --listen and --advertise out")
	}
	cfg.Output, cfg.Log = cmd.ErrOrStderr(), slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
	return cfg, nil
}

// hostName is the machine's name up to its first dot.
func hostName() (string, error) {
	host, err := os.Hostname()
	name, _, _ := strings.Cut(host, ".")
	return name, err
}

// token reads the join token, from a file or the environment: a command line can be read
// by others.
func (f machineFlags) token() (string, error) {
	if f.tokenFile == "" {
		return os.Getenv("CARILLON_TOKEN"), nil
	}
	text, err := os.ReadFile(f.tokenFile)
	return strings.TrimSpace(string(text)), err
}

// trainerCommand and voterCommand are the verbs with which other processes start theirs;
// their flags are their packages' own.
func trainerCommand() *cobra.Command { return processCommand("trainer", "A trainer", node.Command) }

func voterCommand() *cobra.Command {
	return processCommand("voter", "One of the processes that keep a job together", coordinator.Command)
}

func processCommand(name, short string, run func(ctx context.Context, args []string, stdin io.Reader, stderr io.Writer) error) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: short, Hidden: true, DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return run(cmd.Context(), args, cmd.InOrStdin(), cmd.ErrOrStderr())
		},
	}
}
