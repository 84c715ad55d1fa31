package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"carillon/checkpoint"
	"carillon/export"
	"carillon/job"
	"carillon/objstore"
)

// exportFlags are the flags of export.
type exportFlags struct {
	storeFlags
	base, out string
}

func exportCommand() *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use:   "export (--run OUTPUT_DIR | --store ADDRESS --out DIR)",
		Short: "Makes a PEFT or Hugging Face directory of a run's newest checkpoint",
		Long: `Makes a directory that others can load of a run's newest checkpoint: a Hugging Face
model of methods full and bitfit, an adapter as PEFT or AdapterHub has it of others.
It prints the SHA-256 of the
weights, which depends on the job alone, never on where or when it ran.`,
		Args: arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error { return f.do(cmd) },
	}
	f.add(cmd)
	cmd.Flags().StringVar(&f.base, "base", "", "the base model's `directory`, if it is no longer where the recipe had it")
	cmd.Flags().StringVar(&f.out, "out", "", "the `directory` to make (default adapter or model in the run's)")
	return cmd
}

func (f exportFlags) do(cmd *cobra.Command) error {
	if f.run == "" && f.store != "" {
		if err := required(cmd, "out"); err != nil {
			return err
		}
	}
	store, id, err := f.open(cmd)
	if err != nil {
		return err
	}
	m, err := checkpoint.Latest(cmd.Context(), store, id)
	if err != nil {
		return err
	}
	out, err := f.target(m)
	if err != nil {
		return err
	}
	r, err := export.FromStore(cmd.Context(), store, m.Job, out, f.base)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: step %d, sha256 %s\n", out, r.Step, r.SHA256)
	return err
}

// onlyJob returns the job that a store has: the only one.
func onlyJob(ctx context.Context, store objstore.Store, path string) (job.ID, error) {
	var ids []string
	err := store.List(ctx, "", func(key string) error {
		if id, _, _ := strings.Cut(key, "/"); key == checkpoint.HeadKey(job.ID(id)) {
			ids = append(ids, id)
		}
		return nil
	})
	switch {
	case err != nil:
		return "", err
	case len(ids) == 0:
		return "", fmt.Errorf("%s: no job has saved anything in it", path)
	case len(ids) > 1:
		return "", fmt.Errorf("%s has %d jobs; choose one by --job: %s", path, len(ids), strings.Join(ids, ", "))
	}
	return job.ID(ids[0]), nil
}

// target returns the directory to make.
func (f exportFlags) target(m checkpoint.Manifest) (string, error) {
	if f.out != "" {
		return f.out, nil
	}
	var spec job.Spec
	if err := json.Unmarshal(m.Spec, &spec); err != nil {
		return "", fmt.Errorf("checkpoint %s: its spec: %w", m.Name(), err)
	}
	if export.MakesModel(spec) {
		return filepath.Join(f.run, "model"), nil
	}
	return filepath.Join(f.run, "adapter"), nil
}
