package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"carillon/coordinator"
	"carillon/job"
	"carillon/wire"
)

func revokeCommand() *cobra.Command {
	return clusterVerb("revoke ROLE/NAME", "Shuts a certificate's holder out of a cluster", `Shuts a coordinator, a node or a user out of a cluster, for ever and whatever certificate
of that name it shows: its connections are ended, and no other is taken. A machine that is
trusted again takes another name.`, arguments(1, 1, "coordinator/NAME, node/NAME or user/NAME"),
		func(cmd *cobra.Command, c *wire.Control, args []string) error {
			return askCluster(cmd.Context(), c, coordinator.VerbRevoke, []byte(args[0]), nil)
		})
}

func coordinatorsCommand() *cobra.Command {
	cmd := group("coordinators", "Lists a cluster's coordinators, and removes them")
	cmd.Long = `Lists a cluster's coordinators, and removes them. Another one is added by starting it with
--join and an empty --dir.`
	var show func(any, func(io.Writer)) error
	list := clusterVerb("list", "Lists the coordinators", "Lists the coordinators, the store, and what was refused and revoked.", arguments(0, 0, ""),
		func(cmd *cobra.Command, c *wire.Control, _ []string) error {
			var all coordinator.Cluster
			if err := askCluster(cmd.Context(), c, coordinator.VerbCluster, nil, &all); err != nil {
				return err
			}
			return show(all, func(w io.Writer) { printCluster(w, all) })
		})
	show = asJSON(list)
	remove := clusterVerb("remove NAME", "Takes a coordinator's vote away", "Takes a coordinator's vote away, for ever: its process ends. Two of three have to agree.", arguments(1, 1, "a coordinator's name"),
		func(cmd *cobra.Command, c *wire.Control, args []string) error {
			return askCluster(cmd.Context(), c, coordinator.VerbRemove, []byte(args[0]), nil)
		})
	cmd.AddCommand(list, remove)
	return cmd
}

func printCluster(w io.Writer, all coordinator.Cluster) {
	fmt.Fprintf(w, "store\t%s\n", all.Store)
	for _, p := range all.Coordinators {
		mark := ""
		switch {
		case job.NodeID(p.ID).Name() == all.Leader:
			mark = "leader"
		case slices.Contains(all.Learners, p):
			mark = "learns, and does not vote yet"
		}
		fmt.Fprintf(w, "coordinator\t%s\t%s\t%s\n", p.ID, p.Addr, mark)
	}
	fmt.Fprintf(w, "refused\t%d connections and messages, by the leader\n", all.Refused)
	for _, r := range all.Revoked {
		fmt.Fprintf(w, "revoked\t%s\n", r)
	}
}
