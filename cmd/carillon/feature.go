package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"carillon/feature"
	"carillon/guide"
	"carillon/job"
	"carillon/launch"
	"carillon/shard"
)

// runFeature tunes with method feature, in this process.
func (f trainFlags) runFeature(cmd *cobra.Command, cfg launch.Config) error {
	if f.drill != "" || f.resume {
		return usage(cmd, "--drill and --resume are for methods that train on nodes; with method feature what was read before is used again by itself")
	}
	v := newView(cmd.ErrOrStderr(), cfg.Spec.LoggingSteps)
	defer v.end()
	be, err := openBackend(cmd, f.backend, cfg.Spec.CPUThreads)
	if err != nil {
		return err
	}
	defer be.Close()
	v.Note("backend: " + be.Why())
	r, err := feature.Train(cmd.Context(), be, cfg.Spec, v.Progress)
	if err != nil {
		return err
	}
	v.end()
	if f.json {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(r)
	}
	held := ""
	if r.HeldOut > 0 {
		held = fmt.Sprintf(", accuracy %.4f on %d held out", r.Accuracy, r.HeldOut)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%d of %d examples read in %.1f s, fitted in %.1f s: %s with C %g, accuracy %.4f in cross-validation%s\n%s\n",
		r.Encoded, r.Rows, r.Reading, r.Fitting, r.Classifier, r.C, r.Validated, held, r.Export)
	return err
}

// feature fits a classifier with each seed, and fills in the row. The first one
// reads the texts for all.
func (c *comparison) feature(ctx context.Context, spec job.Spec, row *guide.Row) error {
	set, err := shard.Open(c.data.Path)
	if err != nil {
		return err
	}
	defer set.Close()
	if c.budget > 0 {
		bounded, cancel := context.WithTimeout(ctx, c.budget)
		defer cancel()
		ctx = bounded
	}
	spec.Store = filepath.Join(c.out, "store")
	for i := range c.seeds {
		spec.Seed = c.spec.Seed + uint64(i)
		spec.OutputDir = filepath.Join(c.out, fmt.Sprintf("feature-%d", spec.Seed))
		c.view.Note(fmt.Sprintf("feature, seed %d", spec.Seed))
		s, err := feature.OpenSet(c.backend, spec, set, c.view.Progress)
		if err != nil {
			return err
		}
		r, err := s.Train(ctx)
		if err = errors.Join(err, s.Close()); err != nil {
			return err
		}
		row.Runs = append(row.Runs, r.Accuracy)
		row.Quality += r.Accuracy / float64(c.seeds)
		row.Gap, row.Trainable, row.Share = r.Loss-r.TrainLoss, r.Trainable, float64(r.Trainable)/float64(c.facts.Parameters)
		row.Seconds = max(row.Seconds, r.Reading+r.Fitting)
		if r.Encoded > 0 {
			row.TokensPerSecond = float64(r.Tokens) / r.Reading
		}
		if row.FileBytes, err = weightsIn(r.Export); err != nil {
			return err
		}
	}
	return nil
}
