package feature

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"

	"golang.org/x/sync/errgroup"

	"carillon/backend"
	"carillon/child"
	"carillon/job"
	"carillon/shard"
)

// A Part is one process's share of making the vectors of a data set: every Nodes-th
// block, from block Node on.
type Part struct {
	Spec  job.Spec `json:"spec"` // resolved
	Shard string   `json:"shard"`
	Node  int      `json:"node"`
	Nodes int      `json:"nodes"`
}

// Spread lets the spec's nodes make vectors together: this process is node 0, and
// run has another process do a part and returns when it has ended. What one that
// fails leaves undone is done here afterwards; lost hears of it.
func (s *Source) Spread(run func(ctx context.Context, p Part) error, lost func(error)) {
	s.run, s.lost = run, lost
}

// together makes the vectors that are missing with other processes.
func (s *Source) together(ctx context.Context) error {
	var g errgroup.Group
	for node := 1; node < s.spec.Nodes; node++ {
		g.Go(func() error {
			if err := s.run(ctx, Part{s.spec, s.shard, node, s.spec.Nodes}); err != nil && ctx.Err() == nil {
				s.lost(fmt.Errorf("node %d, which reads examples: %w", node, err))
			}
			return nil
		})
	}
	err := s.part(ctx, 0, s.spec.Nodes)
	return errors.Join(err, g.Wait())
}

// part makes a node's share.
func (s *Source) part(ctx context.Context, node, nodes int) error {
	encode := s.maker()
	_, err := s.layout().share(folder(s.spec), node, nodes, func(a, b int) ([]float32, error) { return encode(ctx, a, b) })
	return err
}

// Command is the process of another node: it does the part that its flags describe,
// and ends early when stdin closes, which is how its parent's death is noticed.
func Command(ctx context.Context, args []string, stdin io.Reader, stderr io.Writer) error {
	o := backend.Options{Log: slog.New(slog.NewTextHandler(stderr, nil))}
	flags := flag.NewFlagSet("encode", flag.ContinueOnError)
	flags.SetOutput(stderr)
	text := flags.String("part", "", "a Part, as JSON")
	flags.StringVar(&o.Name, "backend", backend.Auto, "what computes")
	flags.BoolVar(&o.Offline, "offline", false, "never fetch a plugin")
	flags.BoolVar(&o.Tried, "tried", false, "the device was tried by who started this process")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := child.Required(flags, "part"); err != nil {
		return err
	}
	var p Part
	if err := json.Unmarshal([]byte(*text), &p); err != nil {
		return fmt.Errorf("--part: %w", err)
	}
	if exe, err := os.Executable(); err == nil {
		o.Prober = []string{exe, "probe"} // a verb of the program that has this one
	}
	ctx, stop := child.Context(ctx, stdin)
	defer stop()
	return p.do(ctx, o)
}

// do makes the part's vectors.
func (p Part) do(ctx context.Context, o backend.Options) error {
	o.Threads = p.Spec.CPUThreads
	be, err := backend.Open(ctx, o)
	if err != nil {
		return err
	}
	defer be.Close()
	set, err := shard.Open(p.Shard)
	if err != nil {
		return err
	}
	s, err := OpenSet(be, p.Spec, set, nil)
	if err != nil {
		return errors.Join(err, set.Close())
	}
	return errors.Join(s.part(ctx, p.Node, p.Nodes), s.Close(), set.Close())
}
