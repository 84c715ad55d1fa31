package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"carillon/checkpoint"
	"carillon/coordinator"
	"carillon/job"
	"carillon/objstore"
)

func checkpointsCommand() *cobra.Command {
	var f storeFlags
	cmd := group("checkpoints", "Lists, checks, pins, prunes and restores what jobs have saved")
	cmd.Long = `Lists, checks, pins, prunes and restores what jobs have saved, in a run's directory or in
a bucket ("carillon store check --help" tells of addresses).`
	cmd.Example = `  carillon checkpoints list --run out/demo
  carillon checkpoints check --store s3://bucket/team --job demo`
	f.add(cmd)
	cmd.AddCommand(f.listCommand(), f.showCommand(), f.checkCommand(), f.pinCommand(), f.unpinCommand(), f.pruneCommand(), f.restoreCommand())
	return cmd
}

// verb is a verb of checkpoints.
func (f *storeFlags) verb(use, short, long string, args cobra.PositionalArgs, do func(cmd *cobra.Command, s objstore.Store, id job.ID, args []string) error) *cobra.Command {
	return &cobra.Command{Use: use, Short: short, Long: long, Args: args, RunE: func(cmd *cobra.Command, args []string) error {
		s, id, err := f.open(cmd)
		if err != nil {
			return err
		}
		return do(cmd, s, id, args)
	}}
}

var aCheckpoint = arguments(1, 1, "a checkpoint's name, as list prints it")

// listed is a checkpoint, for people and for programs.
type listed struct {
	Name    string   `json:"name"`
	Step    uint64   `json:"step"`
	Bytes   int64    `json:"bytes"`
	HeldOut *float64 `json:"held_out_loss,omitempty"`
	Newest  bool     `json:"newest,omitempty"` // HEAD names it
	Best    bool     `json:"best,omitempty"`
	Pinned  bool     `json:"pinned,omitempty"`
	Digest  string   `json:"digest"`
}

func (f *storeFlags) listCommand() *cobra.Command {
	var asJSON bool
	cmd := f.verb("list", "Lists a job's checkpoints", "Lists a job's checkpoints: name, steps done, size, held-out loss, and which is the newest\n(what HEAD names), the best and pinned.",
		arguments(0, 0, ""), func(cmd *cobra.Command, s objstore.Store, id job.ID, _ []string) error {
			all, damage := listCheckpoints(cmd.Context(), s, id) // what can be read is shown first
			var err error
			if asJSON {
				err = json.NewEncoder(cmd.OutOrStdout()).Encode(all)
			} else {
				err = printList(cmd.OutOrStdout(), all)
			}
			return errors.Join(err, damage)
		})
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON array")
	return cmd
}

// listCheckpoints returns the checkpoints that can be read, and why others cannot.
func listCheckpoints(ctx context.Context, s objstore.Store, id job.ID) ([]listed, error) {
	all, damage := checkpoint.List(ctx, s, id)
	pins, err := checkpoint.Pins(ctx, s, id)
	if err != nil {
		return nil, err
	}
	head, _, err := checkpoint.ReadHead(ctx, s, id)
	if err != nil {
		return nil, err
	}
	best := ""
	for _, m := range all {
		if m.Key() == head.Manifest && m.Verdict != nil {
			best = m.Verdict.Name
		}
	}
	out := []listed{}
	for _, m := range all {
		l := listed{Name: m.Name(), Step: m.Step, Bytes: m.Size, Digest: m.Digest, Newest: m.Key() == head.Manifest, Best: m.Name() == best, Pinned: slices.Contains(pins, m.Name())}
		if m.Eval != nil && m.Eval.Step == m.Step {
			loss := coordinator.MeanLoss(m.Eval.Tail)
			l.HeldOut = &loss
		}
		out = append(out, l)
	}
	return out, damage
}

func printList(out io.Writer, all []listed) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, l := range all {
		marks := ""
		for _, m := range []struct {
			is   bool
			name string
		}{{l.Newest, "newest"}, {l.Best, "best"}, {l.Pinned, "pinned"}} {
			if m.is {
				marks += " " + m.name
			}
		}
		loss := ""
		if l.HeldOut != nil {
			loss = fmt.Sprintf("held-out loss %.4f", *l.HeldOut)
		}
		fmt.Fprintf(w, "%s\tstep %d\t%s\t%s\t%s\n", l.Name, l.Step, humanize.Bytes(uint64(l.Bytes)), loss, marks)
	}
	return w.Flush()
}

func (f *storeFlags) showCommand() *cobra.Command {
	return f.verb("show NAME", "Prints a checkpoint's manifest", "Prints a checkpoint's manifest, JSON, as docs/format.md has it.", aCheckpoint,
		func(cmd *cobra.Command, s objstore.Store, id job.ID, args []string) error {
			m, err := checkpoint.Find(cmd.Context(), s, id, args[0])
			if err != nil {
				return err
			}
			e := json.NewEncoder(cmd.OutOrStdout())
			e.SetIndent("", "  ")
			return e.Encode(m)
		})
}

func (f *storeFlags) checkCommand() *cobra.Command {
	return f.verb("check", "Reads everything that a job has saved, and verifies it", "Reads everything that a job has saved, and verifies it: HEAD names a manifest that is\nstored, each manifest names chunks that are stored, and every byte is what its name says.\nBeside a job that prunes it may miss what was there a moment before.",
		arguments(0, 0, ""), func(cmd *cobra.Command, s objstore.Store, id job.ID, _ []string) error {
			r, err := checkpoint.Check(cmd.Context(), s, id)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "job %s: %d checkpoints, all whole; HEAD is at %v; %d objects of unfinished ones\n", id, len(r.Checkpoints), r.Head, len(r.Orphans))
			return err
		})
}

func (f *storeFlags) pinCommand() *cobra.Command {
	return f.verb("pin NAME", "Keeps a checkpoint from being pruned", "Keeps a checkpoint from being pruned, by save_total_limit and by hand, until it is unpinned.", aCheckpoint,
		func(cmd *cobra.Command, s objstore.Store, id job.ID, args []string) error {
			return checkpoint.Pin(cmd.Context(), s, id, args[0])
		})
}

func (f *storeFlags) unpinCommand() *cobra.Command {
	return f.verb("unpin NAME", "Lets a checkpoint be pruned again", "Lets a checkpoint be pruned again.", aCheckpoint,
		func(cmd *cobra.Command, s objstore.Store, id job.ID, args []string) error {
			return checkpoint.Unpin(cmd.Context(), s, id, args[0])
		})
}

func (f *storeFlags) pruneCommand() *cobra.Command {
	var keep checkpoint.Keep
	var dryRun bool
	cmd := f.verb("prune", "Removes old checkpoints", `Removes checkpoints that are older than the newest ones, and what is left of those that
never became whole. The newest, the best and what is pinned stay. A running job prunes by
itself (save_total_limit); this may be done beside it.`, arguments(0, 0, ""), nil)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if keep.Last < 1 {
			return usage(cmd, "--keep-last %d: want a number from 1", keep.Last)
		}
		s, id, err := f.open(cmd)
		if err != nil {
			return err
		}
		return pruneCheckpoints(cmd, s, id, keep, dryRun)
	}
	cmd.Flags().IntVar(&keep.Last, "keep-last", 3, "how many of the newest stay")
	cmd.Flags().Uint64Var(&keep.Every, "keep-every", 0, "those stay too whose step is a multiple of this")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "print what would be removed, and remove nothing")
	return cmd
}

var errDryRun = errors.New("dry run")

func pruneCheckpoints(cmd *cobra.Command, s objstore.Store, id job.ID, keep checkpoint.Keep, dryRun bool) error {
	err := checkpoint.Prune(cmd.Context(), s, id, keep, func(names []string) error {
		for _, name := range names {
			fmt.Fprintln(cmd.OutOrStdout(), name)
		}
		if dryRun {
			return errDryRun
		}
		return nil
	})
	if errors.Is(err, errDryRun) {
		return nil
	}
	return err
}

func (f *storeFlags) restoreCommand() *cobra.Command {
	return f.verb("restore NAME", "Makes a job go on from an older checkpoint", `Makes a job that is not running go on from an older checkpoint: HEAD names it from now on,
and train --resume begins there. It is pinned; what was saved after it stays until it is
pruned. A job that does run is ended by it.`, aCheckpoint,
		func(cmd *cobra.Command, s objstore.Store, id job.ID, args []string) error {
			m, err := checkpoint.Find(cmd.Context(), s, id, args[0])
			if err != nil {
				return err
			}
			if err := checkpoint.RestoreTo(cmd.Context(), s, m); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "job %s: the newest checkpoint is %s now, of step %d; it is pinned\n", id, m.Name(), m.Step)
			return err
		})
}
