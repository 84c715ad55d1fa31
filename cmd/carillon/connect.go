package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"carillon/pki"
	"carillon/wire"
)

// certFlags say who this process is.
type certFlags struct {
	dir string
	pki.Files
}

func (f *certFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.dir, "tls", os.Getenv("CARILLON_TLS"), "`directory` with ca.crt, tls.crt and tls.key, as carillon ca issue makes it ($CARILLON_TLS)")
	flags.StringVar(&f.CA, "tls-ca", "", "with an authority of your own: the `file` with its certificate")
	flags.StringVar(&f.Cert, "tls-cert", "", "the `file` with the certificate, whose URI is spiffe://ROLE.carillon/NAME")
	flags.StringVar(&f.Key, "tls-key", "", "the `file` with its key")
}

// files are the three files; none are empty.
func (f *certFlags) files(cmd *cobra.Command) (pki.Files, error) {
	given := f.Files
	if f.dir != "" {
		in := pki.FilesIn(f.dir)
		given = pki.Files{CA: cmp.Or(f.CA, in.CA), Cert: cmp.Or(f.Cert, in.Cert), Key: cmp.Or(f.Key, in.Key)}
	}
	if given != (pki.Files{}) && (given.CA == "" || given.Cert == "" || given.Key == "") {
		return given, usage(cmd, "--tls-ca, --tls-cert and --tls-key belong together (or --tls names a directory)")
	}
	return given, nil
}

// identity reads the certificate of a process of a role; nil if there are no files, as on
// loopback.
func (f *certFlags) identity(cmd *cobra.Command, role pki.Role) (*pki.Identity, error) {
	files, err := f.files(cmd)
	if err != nil || files == (pki.Files{}) {
		return nil, err
	}
	id, err := pki.Load(files)
	if errors.Is(err, fs.ErrNotExist) && f.dir != "" {
		return nil, usage(cmd, "--tls %s: %v; carillon ca issue makes such a directory", f.dir, err)
	}
	if err == nil && id.Name().Role != role {
		err = usage(cmd, "%s: the certificate is of %s, and this takes one of role %s", files.Cert, id.Name(), role)
	}
	return id, err
}

// clusterFlags say which cluster is meant, and who asks.
type clusterFlags struct {
	coordinators string
	cert         certFlags
}

func (f *clusterFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.coordinators, "coordinators", os.Getenv("CARILLON_COORDINATORS"), "the coordinators, `host` or host:port, with commas between ($CARILLON_COORDINATORS)")
	f.cert.add(cmd)
}

// dial begins to connect to the coordinators.
func (f *clusterFlags) dial(cmd *cobra.Command) (*wire.Control, error) {
	if err := required(cmd, "coordinators"); err != nil {
		return nil, err
	}
	urls, err := wire.HubURLs(f.coordinators)
	if err != nil {
		return nil, usage(cmd, "--coordinators: %v", err)
	}
	id, err := f.cert.identity(cmd, pki.User)
	if err != nil {
		return nil, err
	}
	var cfg *tls.Config
	if id != nil {
		cfg = id.Client(pki.Coordinator)
	}
	return wire.Dial(wire.ControlConfig{Coordinators: urls, TLS: cfg, Log: slog.New(slog.DiscardHandler)})
}

// answerPatience is how long a user waits for an answer: a leader may have to be elected.
const answerPatience = 10 * time.Second

// askCluster puts one request to the cluster; into is nil if nothing is answered.
func askCluster(ctx context.Context, c *wire.Control, verb string, payload []byte, into any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, answerPatience, errNoAnswer)
	defer cancel()
	b, err := c.Request(ctx, verb, payload)
	var said *wire.RemoteError
	if errors.As(err, &said) {
		return said
	}
	if err != nil || into == nil {
		return err
	}
	return json.Unmarshal(b, into)
}

var errNoAnswer = errors.New("no answer within 10 seconds: is a majority of the coordinators there?")

// clusterVerb is a verb that asks a cluster one thing.
func clusterVerb(use, short, long string, args cobra.PositionalArgs, do func(cmd *cobra.Command, c *wire.Control, args []string) error) *cobra.Command {
	var f clusterFlags
	cmd := &cobra.Command{Use: use, Short: short, Long: long, Args: args, RunE: func(cmd *cobra.Command, args []string) error {
		c, err := f.dial(cmd)
		if err != nil {
			return err
		}
		defer c.Close()
		return do(cmd, c, args)
	}}
	f.add(cmd)
	return cmd
}

// stateDir is where a machine keeps what it is asked to by default.
func stateDir() string {
	if dir, err := os.UserCacheDir(); err == nil {
		return filepath.Join(dir, "carillon", "node")
	}
	return "carillon-node"
}
