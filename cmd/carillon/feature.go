package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"carillon/backend"
	"carillon/feature"
	"carillon/guide"
	"carillon/job"
	"carillon/launch"
	"carillon/model"
	"carillon/objstore/open"
	"carillon/shard"
)

// runFeature tunes with method feature, in this process.
func (f trainFlags) runFeature(cmd *cobra.Command, cfg launch.Config) error {
	if f.drill != "" || f.resume {
		return usage(cmd, "--drill and --resume are for methods that train on nodes; with method feature what was read before is used again by itself")
	}
	if _, err := open.Absolute(cfg.Spec.Store); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	if !open.Local(cfg.Spec.Store) {
		return fmt.Errorf("store: %s; method feature keeps what it has read in a folder: name one, or leave the key out", cfg.Spec.Store)
	}
	v := newView(cmd.ErrOrStderr(), cfg.Spec.LoggingSteps)
	defer v.end()
	be, err := openBackend(cmd, f.backend, cfg.Spec.CPUThreads)
	if err != nil {
		return err
	}
	defer be.Close()
	v.Note("backend: " + be.Why())
	r, err := f.fitFeature(cmd, be, cfg, v)
	if err != nil {
		return err
	}
	v.end()
	if f.json {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(r)
	}
	return tellFeature(cmd.OutOrStdout(), r)
}

// fitFeature reads and fits, with as many processes as there are nodes.
func (f trainFlags) fitFeature(cmd *cobra.Command, be *backend.Backend, cfg launch.Config, v *view) (feature.Result, error) {
	s, err := feature.Open(cmd.Context(), be, cfg.Spec, v.Progress)
	if err != nil {
		return feature.Result{}, err
	}
	defer s.Close()
	s.Spread(func(ctx context.Context, p feature.Part) error {
		return encodePart(ctx, cfg.Command[0], p, be.Choice())
	},
		func(err error) { v.Note(err.Error()) })
	return s.Train(cmd.Context())
}

// encodePart has another process make its share of the vectors.
func encodePart(ctx context.Context, exe string, p feature.Part, c backend.Choice) error {
	part, err := json.Marshal(p)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, exe, append([]string{"encode", "--part", string(part)}, nodeFlags(c)...)...)
	var said bytes.Buffer
	cmd.Stderr = &said
	if _, err := cmd.StdinPipe(); err != nil { // it ends when this process does
		return err
	}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(said.String()))
	}
	return nil
}

// encodeCommand is the verb with which train starts processes that make vectors.
func encodeCommand() *cobra.Command {
	return processCommand("encode", "A process that makes vectors of texts", feature.Command)
}

// tellFeature says what was fitted, for people.
func tellFeature(w io.Writer, r feature.Result) error {
	how, held := fmt.Sprintf("accuracy %.4f in cross-validation", r.Validated), fmt.Sprintf(", accuracy %.4f on %d held out", r.Accuracy, r.HeldOut)
	if r.Task == job.Regression {
		how, held = fmt.Sprintf("mean squared error %.6g in cross-validation", r.Validated), fmt.Sprintf(", %.6g on %d held out", r.Loss, r.HeldOut)
	}
	if r.HeldOut == 0 {
		held = ""
	}
	if r.Task == job.CausalLM || r.Task == job.Seq2SeqLM {
		_, err := fmt.Fprintf(w, "%d of %d tokens read in %.1f s, trained in %.1f s: an output layer, from %.4f to %.4f nats per token on %d held out\n%s\n",
			r.Encoded, r.Rows, r.Reading, r.Fitting, r.BaseLoss, r.Loss, r.HeldOut, r.Export)
		return err
	}
	_, err := fmt.Fprintf(w, "%d of %d examples read in %.1f s, fitted in %.1f s: %s with C %g, %s%s\n%s\n",
		r.Encoded, r.Rows, r.Reading, r.Fitting, r.Classifier, r.C, how, held, r.Export)
	return err
}

// featureShare is how much of all parameters was fitted. An output layer may be the
// base's own; a classifier is not, and takes the place of none.
func (c *comparison) featureShare(ctx context.Context, spec job.Spec, r feature.Result) (float64, error) {
	all := c.facts.Parameters + r.Trainable
	if r.Task == job.CausalLM || r.Task == job.Seq2SeqLM {
		facts, err := model.Inspect(ctx, spec)
		if err != nil {
			return 0, err
		}
		all = facts.Total
	}
	return float64(r.Trainable) / float64(all), nil
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
		quality := r.Loss
		if r.Task == job.SeqCls {
			quality = r.Accuracy
		}
		row.Runs = append(row.Runs, quality)
		row.Quality += quality / float64(c.seeds)
		row.Gap, row.Trainable = r.Loss-r.TrainLoss, r.Trainable
		if row.Share, err = c.featureShare(ctx, spec, r); err != nil {
			return err
		}
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
