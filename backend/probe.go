package backend

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"log/slog"

	"github.com/gomlx/compute"

	"carillon/child"
)

// ProbeCommand is the process that tries a device, which Options.Prober names: it
// opens the plugin, lets it compute, compares with the Go backend, and prints its
// verdict as one line of JSON. It ends when ctx ends, or soon after stdin closes.
func ProbeCommand(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	return probeCommand(ctx, args, stdin, stdout, stderr, solve)
}

// A solver answers the exam.
type solver func(compute.Backend) ([]part, error)

func probeCommand(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, solve solver) error {
	flags := flag.NewFlagSet("probe", flag.ContinueOnError)
	flags.SetOutput(stderr)
	o := Options{Tried: true, Log: slog.New(slog.NewTextHandler(stderr, nil))}
	flags.StringVar(&o.Name, "backend", "", "the device to try: cuda:FILE or tpu:FILE, or another backend")
	flags.IntVar(&o.Threads, "threads", 0, "size of XLA's thread pool on the host")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := child.Required(flags, "backend"); err != nil {
		return err
	}
	ctx, stop := child.Context(ctx, stdin)
	defer stop()
	v, err := probe(ctx, o, solve)
	if err != nil {
		v.Error = oneLine(err)
	}
	return json.NewEncoder(stdout).Encode(v)
}

// probe opens the backend in this process and compares it with the Go backend, which
// solve asks.
func probe(ctx context.Context, o Options, solve solver) (verdict, error) {
	be, err := Open(ctx, o)
	if err != nil {
		return verdict{}, err
	}
	v := verdict{Device: description(be)}
	o.Name = Go
	reference, err := Open(ctx, o)
	if err != nil {
		return v, err
	}
	want, err := solve(reference.Compute())
	if err != nil {
		return v, err
	}
	answers, err := solveTimes(be.Compute(), times)
	if err != nil {
		return v, err
	}
	v.Worst, v.Bits, err = compare(answers, want)
	return v, err
}
