package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"carillon/coordinator"
	"carillon/job"
	"carillon/launch"
	"carillon/wire"
)

// asJSON adds --json to a verb that prints what a cluster answers, and returns what to
// print it with.
func asJSON(cmd *cobra.Command) func(v any, text func(w io.Writer)) error {
	plain := cmd.Flags().Bool("json", false, "print JSON")
	return func(v any, text func(w io.Writer)) error {
		if *plain {
			return json.NewEncoder(cmd.OutOrStdout()).Encode(v)
		}
		w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
		text(w)
		return w.Flush()
	}
}

func statusCommand() *cobra.Command {
	var show func(any, func(io.Writer)) error
	cmd := clusterVerb("status [JOB]", "Tells how a job goes", "Tells how a job goes: by default the one that the cluster works on.", arguments(0, 1, "a job's id"),
		func(cmd *cobra.Command, c *wire.Control, args []string) error {
			id, err := json.Marshal(strings.Join(args, ""))
			if err != nil {
				return err
			}
			var s coordinator.Status
			if err := askCluster(cmd.Context(), c, coordinator.VerbStatus, id, &s); err != nil {
				return err
			}
			return show(s, func(w io.Writer) { printStatus(w, s) })
		})
	show = asJSON(cmd)
	return cmd
}

func printStatus(w io.Writer, s coordinator.Status) {
	if s.Job == "" {
		fmt.Fprintf(w, "no job\nleader\t%s\n", s.Leader.ID)
		return
	}
	fmt.Fprintf(w, "job\t%s\nphase\t%s\nstep\t%d of %d, saved: %d\n", s.Job, s.Phase, s.Step, s.Steps, s.Saved)
	if s.Record != nil {
		m := coordinator.MetricsOf(*s.Record)
		fmt.Fprintf(w, "loss\t%.4f\nspeed\t%.0f %s/s, %s sent a step and node\n", m.Loss, m.TokensPerSecond, learnt(s.Record.Tail), size(m.BytesSent))
	}
	for _, row := range [][2]string{{"waiting", s.Waiting}, {"advice", s.Advice}} {
		if row[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", row[0], row[1])
		}
	}
	fmt.Fprintf(w, "leader\t%s, term %d\n", s.Leader.ID, s.Leader.Term)
	for _, m := range s.Members {
		if m.State != coordinator.StateLeft && m.State != coordinator.StateLost {
			fmt.Fprintf(w, "node\t%s\t%s\tstep %d\tlanes %s\n", m.Name, m.State, m.Step, lanes(m.Lanes))
		}
	}
	if n := len(s.Rosters); n > 0 {
		fmt.Fprintf(w, "roster\t%v: %s\n", s.Rosters[n-1].Number, s.Rosters[n-1].Reason)
	}
	for _, e := range s.Errors {
		fmt.Fprintf(w, "error\t%s\n", e)
	}
	if s.End != nil && s.End.Error != "" {
		fmt.Fprintf(w, "ended\t%s\n", s.End.Error)
	}
}

func lanes(all []int) string {
	if len(all) == 0 {
		return "-"
	}
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(all), " ", ","), "[]")
}

func jobsCommand() *cobra.Command {
	var show func(any, func(io.Writer)) error
	cmd := clusterVerb("jobs", "Lists a cluster's jobs", "Lists a cluster's jobs in the order of their turns.", arguments(0, 0, ""),
		func(cmd *cobra.Command, c *wire.Control, _ []string) error {
			var all []coordinator.JobLine
			if err := askCluster(cmd.Context(), c, coordinator.VerbJobs, nil, &all); err != nil {
				return err
			}
			return show(all, func(w io.Writer) {
				for _, j := range all {
					fmt.Fprintf(w, "%s\t%s\tsaved %d of %d steps\t%d nodes\tsubmitted %s\t%s\n", j.ID, j.Phase, j.Saved, j.Steps, j.Nodes, humanize.Time(j.Submitted), j.Error)
				}
			})
		})
	show = asJSON(cmd)
	return cmd
}

func nodesCommand() *cobra.Command {
	var show func(any, func(io.Writer)) error
	cmd := clusterVerb("nodes", "Lists a cluster's machines", "Lists a cluster's machines: what each offers, and what its nodes do.", arguments(0, 0, ""),
		func(cmd *cobra.Command, c *wire.Control, _ []string) error {
			var all []coordinator.Machine
			if err := askCluster(cmd.Context(), c, coordinator.VerbMachines, nil, &all); err != nil {
				return err
			}
			return show(all, func(w io.Writer) {
				for _, m := range all {
					fmt.Fprintf(w, "%s\t%s\t%s\t%s\theard of %.1f s ago\n", m.Name, m.Host, m.State, strings.Join(m.Devices, " "), m.Silent)
					for _, n := range m.Nodes {
						fmt.Fprintf(w, "  %s\t%s\tstep %d\tlanes %s\t%s\n", n.Name, n.State, n.Step, lanes(n.Lanes), n.Error)
					}
				}
			})
		})
	show = asJSON(cmd)
	return cmd
}

func cancelCommand() *cobra.Command {
	return clusterVerb("cancel JOB", "Ends a job", `Ends a job: one that is worked on after the step under way, with a checkpoint, so that
"carillon submit --resume" can go on with it; one that waits for its turn at once.`, arguments(1, 1, "a job's id"),
		func(cmd *cobra.Command, c *wire.Control, args []string) error {
			b, err := json.Marshal(coordinator.StopRequest{Job: job.ID(args[0]), Reason: "cancelled by a user"})
			if err != nil {
				return err
			}
			return askCluster(cmd.Context(), c, coordinator.VerbStop, b, nil)
		})
}

func logsCommand() *cobra.Command {
	var follow bool
	cmd := clusterVerb("logs JOB", "Prints a job's steps", `Prints a job's steps as metrics.jsonl has them, one JSON object a line. What processes log
beside that is on their standard error, on their machines.`, arguments(1, 1, "a job's id"),
		func(cmd *cobra.Command, c *wire.Control, args []string) error {
			return printLogs(cmd, c, job.ID(args[0]), follow)
		})
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the job has ended")
	return cmd
}

func printLogs(cmd *cobra.Command, c *wire.Control, id job.ID, follow bool) error {
	out, after, told := json.NewEncoder(cmd.OutOrStdout()), uint64(0), ""
	name, err := json.Marshal(id)
	if err != nil {
		return err
	}
	for {
		var s coordinator.Status
		if err := askCluster(cmd.Context(), c, coordinator.VerbStatus, name, &s); err != nil {
			return err
		}
		lines, err := launch.FetchMetrics(cmd.Context(), c, id, after)
		if err != nil && (!errors.Is(err, launch.ErrPartial) || cmd.Context().Err() != nil) {
			return err
		}
		if err != nil && err.Error() != told {
			told = err.Error()
			cmd.PrintErrln(told)
		}
		for _, m := range lines {
			after = m.Step
			if err := out.Encode(m); err != nil {
				return err
			}
		}
		if !follow || s.End != nil {
			return nil
		}
		select {
		case <-time.After(time.Second):
		case <-cmd.Context().Done():
			return nil
		}
	}
}
