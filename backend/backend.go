// Package backend opens the engine that runs the model's graphs: XLA's CPU
// plugin where it can be had, GoMLX's pure Go backend everywhere else.
//
// # How
//
// XLA comes as one shared library, taken once from the wheel that its packagers
// publish, pinned by SHA-256 and kept in the user's cache (Install). It is
// opened by go-xla, which needs cgo; a build without cgo has the Go backend only,
// which needs nothing and is about 20 times slower.
//
// The bits that XLA computes depend on the size of its thread pool, on its flags
// and on GoMLX's switches. Open therefore sets all of them in the process's
// environment before the plugin is opened, whatever the machine's cores and
// whatever the user had set; what it overrides it says in the log. Two backends
// of one Kind and one number of threads on like machines give the same bits;
// whether two machines are alike is measured by the model's probe, not here.
//
// # Failure
//
// With the name "cpu" or "go" Open opens that or returns an error. With "auto" it
// never fails for want of XLA: it opens the Go backend, and Why says in one line
// what was wrong and how to get XLA. A damaged library in the cache is fetched
// again, or is one clear error where the network may not be used; it is never
// handed to the dynamic linker. Nothing is written to standard output.
//
// # Who decides
//
// The recipe or --backend names the backend, the recipe's cpu_threads the pool.
// This package knows no models and no jobs.
package backend

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/gomlx/compute"
)

// The kinds of backend, which are also the names that Options.Name takes.
const (
	Auto = "auto" // CPU where it can be opened, else Go
	CPU  = "cpu"  // XLA on the host's cores
	Go   = "go"   // GoMLX's pure Go backend
)

// DefaultThreads is the size of XLA's thread pool where the recipe says nothing.
// It is the same on every machine because the bits depend on it. The plugin makes
// a pool of at least 4 in any case.
const DefaultThreads = 4

// Options say which backend to open and where its files are. The zero value opens
// the best one there is, silently.
type Options struct {
	Name     string       // Auto (also ""), CPU or Go
	Threads  int          // XLA's thread pool, 1 to 256; 0 means DefaultThreads
	CacheDir string       // where the plugin is kept; "" means carillon's folder in the user's cache
	Offline  bool         // use what is installed, never the network
	Progress io.Writer    // what happens, for a person, while the plugin is fetched; nil: nothing
	Log      *slog.Logger // environment variables that were overridden; nil: nothing
}

// Backend is an open engine. It may be used by several goroutines.
type Backend struct {
	compute compute.Backend
	kind    string
	why     string
	threads int
}

// Compute returns the engine for building and running graphs. Only package model
// and its like may ask for it.
func (b *Backend) Compute() compute.Backend { return b.compute }

// Kind returns CPU or Go.
func (b *Backend) Kind() string { return b.kind }

// Why says in one line what was opened and why; where that is less than was
// hoped for, also how to get it.
func (b *Backend) Why() string { return b.why }

// Threads returns the size of XLA's thread pool, or 0 for the Go backend, whose
// bits do not depend on the number of threads.
func (b *Backend) Threads() int { return b.threads }

// Close frees the engine. Nothing that was made with it may be used afterwards.
func (b *Backend) Close() { b.compute.Finalize() }

// Open opens the backend that o names. It returns ctx's error when ctx ends while
// the plugin is being fetched.
func Open(ctx context.Context, o Options) (*Backend, error) {
	o, err := o.filled()
	if err != nil {
		return nil, err
	}
	if o.Name == Go {
		return openGo(o, "go: GoMLX's pure Go backend, as asked")
	}
	be, err := openCPU(ctx, o)
	switch {
	case err == nil:
		return be, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("open the cpu backend: %w", ctx.Err())
	case o.Name == CPU:
		return nil, fmt.Errorf("open the cpu backend: %w", err)
	}
	return openGo(o, "go: XLA, about 20 times faster, is not available: "+oneLine(err))
}

// filled checks o and returns it with its defaults in place.
func (o Options) filled() (Options, error) {
	o.Name = cmp.Or(o.Name, Auto)
	o.Threads = cmp.Or(o.Threads, DefaultThreads)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	switch o.Name {
	case Auto, CPU, Go:
	case "cuda", "tpu":
		return o, fmt.Errorf("backend %q is not built yet; use auto, cpu or go", o.Name)
	default:
		return o, fmt.Errorf("backend %q is unknown; use auto, cpu or go", o.Name)
	}
	if o.Threads < 1 || o.Threads > 256 {
		return o, fmt.Errorf("threads %d is out of range; use 1 to 256", o.Threads)
	}
	return o.withCache()
}

// withCache fills CacheDir in and makes it absolute: the dynamic linker and a
// process that is started in another folder must mean the same file.
func (o Options) withCache() (Options, error) {
	if o.CacheDir == "" {
		dir, err := os.UserCacheDir()
		if err != nil {
			if o.Name == Go {
				return o, nil
			}
			dir = filepath.Join(os.TempDir(), fmt.Sprintf("cache-%d", os.Getuid()))
		}
		o.CacheDir = filepath.Join(dir, "carillon")
	}
	dir, err := filepath.Abs(o.CacheDir)
	if err != nil {
		return o, fmt.Errorf("cache folder %q: %w", o.CacheDir, err)
	}
	o.CacheDir = dir
	return o, nil
}

// oneLine returns err's text without line breaks.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }
