// Command node is a trainer: see package node.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"carillon/node"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := node.Command(ctx, os.Args[1:], os.Stdin, os.Stderr); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "node:", err)
		os.Exit(1)
	}
}
