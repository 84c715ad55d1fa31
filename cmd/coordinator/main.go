// Command coordinator is one of the processes that keep a job together: see package coordinator.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"carillon/coordinator"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := coordinator.Command(ctx, os.Args[1:], os.Stdin, os.Stderr); err != nil && ctx.Err() == nil {
		fmt.Fprintln(os.Stderr, "coordinator:", err)
		os.Exit(1)
	}
}
