package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"carillon/pki"
	"carillon/wire"
)

func caCommand() *cobra.Command {
	cmd := group("ca", "Makes a cluster's certificates, and tokens for new machines")
	cmd.Long = `Makes a cluster's certificates, and tokens for new machines. docs/security.md says what
each certificate may do, and what to do with an authority of your own.`
	cmd.Example = `  carillon ca init ca
  carillon ca issue c1 --ca ca --role coordinator --out c1
  carillon ca issue alice --ca ca --role user --out alice
  carillon ca token --ca ca --coordinators c1,c2,c3 --ttl 1h --uses 5`
	cmd.AddCommand(caInitCommand(), caIssueCommand(), caTokenCommand())
	return cmd
}

func caInitCommand() *cobra.Command {
	return &cobra.Command{
		Use: "init DIRECTORY", Short: "Makes an authority for a new cluster",
		Long: `Makes an authority for a new cluster: ca.crt, whom everybody trusts; ca.key, which signs,
and token.key, which makes tokens. Keep the directory where no node can read it: who has
it can be anybody in the cluster.`,
		Args: arguments(1, 1, "a directory"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := pki.Init(args[0]); err != nil {
				return err
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s: an authority, good for ten years; keep ca.key and token.key secret\n", args[0])
			return err
		},
	}
}

func caIssueCommand() *cobra.Command {
	var ca, role, out string
	var life time.Duration
	cmd := &cobra.Command{
		Use: "issue NAME", Short: "Makes a certificate and its key",
		Long: `Makes a directory with ca.crt, tls.crt and tls.key for a coordinator, a node or a user;
a coordinator's also has issuer.crt, issuer.key and token.key, with which it certifies
nodes that have a token. Copy it to the machine, and nowhere else.`,
		Args: arguments(1, 1, "a name"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := required(cmd, "ca", "role", "out"); err != nil {
				return err
			}
			n, err := pki.ParseName(role + "/" + args[0])
			if err != nil {
				return usage(cmd, "%v", err)
			}
			a, err := pki.OpenAuthority(ca)
			if err != nil {
				return err
			}
			if err := a.Issue(n, life, out); err != nil {
				return err
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: the certificate of %s, good until %s\n", out, n, time.Now().Add(life).Format(time.DateOnly))
			return err
		},
	}
	caFlag(cmd, &ca)
	cmd.Flags().StringVar(&role, "role", "", "coordinator, node or user")
	cmd.Flags().StringVar(&out, "out", "", "the `directory` to make")
	cmd.Flags().DurationVar(&life, "ttl", pki.DefaultLife, "how long it is good for")
	return cmd
}

func caTokenCommand() *cobra.Command {
	var ca, coordinators string
	var ttl time.Duration
	var uses int
	cmd := &cobra.Command{
		Use: "token", Short: "Prints a token with which machines join",
		Long: `Prints one string: where the coordinators are, how to know them, and a secret. A machine
that has it makes its key itself and gets a certificate as a node:

  carillon node --token-file FILE

Give it as a file or in CARILLON_TOKEN, never on a command line, which others can read.`,
		Args: arguments(0, 0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := required(cmd, "ca", "coordinators"); err != nil {
				return err
			}
			if _, err := wire.HubURLs(coordinators); err != nil {
				return usage(cmd, "--coordinators: %v", err)
			}
			if uses < 1 || ttl <= 0 {
				return usage(cmd, "--uses %d --ttl %v: want both above 0", uses, ttl)
			}
			a, err := pki.OpenAuthority(ca)
			if err != nil {
				return err
			}
			token, err := a.Token(strings.Split(coordinators, ","), ttl, uses)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
			return err
		},
	}
	caFlag(cmd, &ca)
	cmd.Flags().StringVar(&coordinators, "coordinators", "", "the coordinators, `host` or host:port, with commas between")
	cmd.Flags().DurationVar(&ttl, "ttl", time.Hour, "how long it is good for")
	cmd.Flags().IntVar(&uses, "uses", 1, "how many machines may use it")
	return cmd
}

func caFlag(cmd *cobra.Command, ca *string) {
	cmd.Flags().StringVar(ca, "ca", "", "the authority's `directory`")
}
