package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"carillon/checkpoint"
	"carillon/job"
	"carillon/objstore"
	"carillon/objstore/open"
)

// storeFlags say which job of which store is meant.
type storeFlags struct{ run, store, job string }

func (f *storeFlags) add(cmd *cobra.Command) {
	flags := cmd.PersistentFlags()
	flags.StringVar(&f.run, "run", "", "the run's output_dir, a `directory`")
	flags.StringVar(&f.store, "store", "", "the `address` of the store, where it is not in the run's directory: a folder, or s3://BUCKET/PREFIX")
	flags.StringVar(&f.job, "job", "", "the job's `id`, if the store has several")
}

// address is where the store is.
func (f *storeFlags) address(cmd *cobra.Command) (string, error) {
	if f.store != "" {
		return f.store, nil
	}
	if err := required(cmd, "run"); err != nil {
		return "", err
	}
	at := filepath.Join(f.run, "store")
	if _, err := os.Stat(at); err != nil {
		return "", fmt.Errorf("--run %s has no store of checkpoints (if it is elsewhere, --store says where): %w", f.run, err)
	}
	return at, nil
}

// open opens the store and finds the job in it, which has saved something.
func (f *storeFlags) open(cmd *cobra.Command) (objstore.Store, job.ID, error) {
	at, err := f.address(cmd)
	if err != nil {
		return nil, "", err
	}
	s, err := open.Now(cmd.Context(), at)
	if err != nil {
		return nil, "", err
	}
	id := job.ID(f.job)
	if id == "" {
		if id, err = onlyJob(cmd.Context(), s, at); err != nil {
			return nil, "", err
		}
	}
	head, _, err := checkpoint.ReadHead(cmd.Context(), s, id)
	if errors.Is(err, objstore.ErrNotExist) || err == nil && head.Manifest == "" {
		err = fmt.Errorf("%s: job %s has saved nothing yet", at, id)
	}
	return s, id, err
}

func storeCommand() *cobra.Command {
	cmd := group("store", "Looks at an object store")
	cmd.AddCommand(storeCheckCommand())
	return cmd
}

func storeCheckCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check ADDRESS",
		Short: "Asks a store to show that it can keep checkpoints",
		Long: `Asks a store to show what checkpoints count on, and prints which promises it keeps:
above all that what exists is not overwritten, whoever races. Some S3 servers take these
conditions and ignore them. It writes some 9 MB under store-check/ and removes them.
train asks the same before it starts anything.

An address is a folder, or a place in a bucket of S3:

  s3://BUCKET/PREFIX?endpoint=https://HOST:PORT&region=NAME&path_style=true
  s3://BUCKET/PREFIX?sse=aws:kms&sse_kms_key_id=ID

Without an endpoint it is what AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or the profile
says, or AWS. Credentials come from where AWS's own tools have them: AWS_ACCESS_KEY_ID
and AWS_SECRET_ACCESS_KEY, the profile AWS_PROFILE in ~/.aws, the role of the machine,
the container or a web identity. A CA of your own: AWS_CA_BUNDLE.`,
		Example: `  carillon store check runs/mine/store
  carillon store check 's3://bucket/team?endpoint=https://minio.example:9000'`,
		Args: arguments(1, 1, "a store's address"),
		RunE: func(cmd *cobra.Command, args []string) error { return checkStore(cmd, args[0], asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func checkStore(cmd *cobra.Command, address string, asJSON bool) error {
	s, err := open.Now(cmd.Context(), address)
	if err != nil {
		return err
	}
	promises := objstore.Probe(cmd.Context(), s)
	if err := cmd.Context().Err(); err != nil {
		return err
	}
	if asJSON {
		err = json.NewEncoder(cmd.OutOrStdout()).Encode(promisesJSON(promises))
	} else {
		err = printPromises(cmd.OutOrStdout(), promises)
	}
	broken := objstore.Broken(promises)
	switch {
	case err != nil, broken == nil:
	case errors.Is(broken, objstore.ErrTemporary):
		err = broken
	default:
		err = fmt.Errorf("%s cannot keep checkpoints: another store can, or a newer version of this one", address)
	}
	return err
}

func printPromises(out io.Writer, promises []objstore.Promise) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, p := range promises {
		kept := "kept"
		if p.Err != nil {
			kept = "BROKEN: " + strings.ReplaceAll(p.Err.Error(), "\n", "; ")
		}
		fmt.Fprintf(w, "%s\t%v\t%s\n", p.Name, p.Took.Round(time.Millisecond), kept)
	}
	return w.Flush()
}

// promiseJSON is a promise for programs.
type promiseJSON struct {
	Name    string  `json:"name"`
	Kept    bool    `json:"kept"`
	Error   string  `json:"error,omitempty"`
	Seconds float64 `json:"seconds"`
}

func promisesJSON(promises []objstore.Promise) any {
	all := make([]promiseJSON, len(promises))
	for i, p := range promises {
		all[i] = promiseJSON{Name: p.Name, Kept: p.Err == nil, Seconds: p.Took.Seconds()}
		if p.Err != nil {
			all[i].Error = p.Err.Error()
		}
	}
	return map[string]any{"promises": all, "kept": objstore.Broken(promises) == nil}
}
