package coordinator

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"carillon/child"
	"carillon/objstore/open"
)

// Command is a coordinator that train starts: it reads its flags and runs until ctx
// ends or stdin closes, which is how a parent's death is noticed. It logs to
// stderr.
func Command(ctx context.Context, args []string, stdin io.Reader, stderr io.Writer) error {
	cfg := Config{Log: slog.New(slog.NewTextHandler(stderr, nil))}
	flags := flag.NewFlagSet("coordinator", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&cfg.ID, "id", "", "which of the peers this is")
	peers := flags.String("peers", "", "all coordinators as id=raft address=hub address, with commas between")
	flags.StringVar(&cfg.Dir, "dir", "", "folder of the ledger")
	store := flags.String("store", "", "address of the object store: a folder, or s3://BUCKET/PREFIX")
	flags.StringVar(&cfg.OutputDir, "out", "", "folder for metrics.jsonl")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if err := child.Required(flags, "id", "peers", "dir", "store", "out"); err != nil {
		return err
	}
	for p := range strings.SplitSeq(*peers, ",") {
		part := strings.Split(p, "=")
		if len(part) != 3 {
			return fmt.Errorf("coordinator: --peers: %q is not id=raft address=hub address", p)
		}
		cfg.Peers = append(cfg.Peers, Peer{ID: part[0], Raft: part[1], NATS: part[2]})
	}
	var err error
	if cfg.Store, err = open.Store(ctx, *store); err != nil {
		return err
	}
	ctx, stop := child.Context(ctx, stdin)
	defer stop()
	c, err := Open(ctx, cfg)
	if err != nil {
		return err
	}
	return c.Run(ctx)
}
