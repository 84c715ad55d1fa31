// Package child is what the processes of a job have in common: how one that was
// started by another reads its flags, and how long it lives.
//
// # How
//
// The parent holds the write end of the child's standard input and never writes
// to it. When the parent ends, in whatever way, a SIGKILL included, the system
// closes the pipe, and the child's context ends.
//
// # Failure
//
// A child that computes something which cannot be interrupted, such as a program
// being compiled, is ended all the same, after a grace.
//
// A child that nobody holds (its input is a terminal, or already at its end) is
// as well off as its input: it runs until that ends.
//
// # Who decides
//
// The parent: see package launch.
package child

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"time"
)

// grace is how long a child may take to end by itself once its input has.
const grace = 5 * time.Second

// Context returns a context that also ends when stdin does. If the child has not
// called the returned function a grace later, the process exits.
func Context(ctx context.Context, stdin io.Reader) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() { // a read cannot be cancelled: it ends with the process at the latest
		_, _ = io.Copy(io.Discard, stdin)
		cancel()
		select {
		case <-ended:
		case <-time.After(grace):
			os.Exit(1)
		}
	}()
	return ctx, sync.OnceFunc(func() { cancel(); close(ended) })
}

// Required returns an error that names the first of the flags that is empty.
func Required(flags *flag.FlagSet, names ...string) error {
	for _, name := range names {
		if f := flags.Lookup(name); f.Value.String() == "" {
			return fmt.Errorf("%s: --%s is missing: %s", flags.Name(), name, f.Usage)
		}
	}
	return nil
}
