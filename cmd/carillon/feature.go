package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"carillon/feature"
	"carillon/launch"
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
