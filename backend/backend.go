// Package backend opens the engine that runs the model's graphs: XLA on an NVIDIA
// GPU or a TPU where there is one, XLA's CPU plugin where it can be had, GoMLX's
// pure Go backend everywhere else.
//
// # How
//
// XLA comes as one shared library for each kind of device, a plugin, which is
// opened by go-xla; that needs cgo. A build without cgo has the Go backend only,
// which needs nothing and is about 20 times slower. The CPU's plugin is taken once
// from the wheel that its packagers publish, pinned by SHA-256 and kept in the
// user's cache (Install). A device's plugin is the one whose path is given, one that
// was installed before, or one that lies where go-xla looks for it; if a device is
// asked for by name and there is none, it is fetched like the CPU's, with NVIDIA's
// libraries (InstallDevice).
//
// The bits that XLA computes depend on the size of its thread pool, on its flags
// and on GoMLX's switches. Open therefore sets all of them in the process's
// environment before the plugin is opened, whatever the machine's cores and
// whatever the user had set; what it overrides it says in the log. Two backends
// of one Kind and one number of threads on like machines give the same bits;
// whether two machines are alike is measured by the model's probe, not here.
//
// A device is tried before it is trusted: a process of its own (Options.Prober)
// opens the plugin, compiles and runs one graph under the very flags, three times,
// and compares with the Go backend. What is not right within a time limit is not
// opened.
//
// # Failure
//
// With a name other than "auto" Open opens that backend or returns an error. With
// "auto" it never fails for want of XLA: it takes the next kind, and Why says in one
// line what was wrong with the better ones and how to get them. A damaged library
// in the cache is fetched again, or is one clear error where the network may not be
// used; it is never handed to the dynamic linker. Nothing is written to standard
// output.
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
	Auto = "auto" // the first of the others that can be opened
	CUDA = "cuda" // XLA on an NVIDIA GPU
	TPU  = "tpu"  // XLA on a TPU
	CPU  = "cpu"  // XLA on the host's cores
	Go   = "go"   // GoMLX's pure Go backend
)

// DefaultThreads is the size of XLA's thread pool where the recipe says nothing.
// It is the same on every machine because the bits depend on it. The plugin makes
// a pool of at least 4 in any case.
const DefaultThreads = 4

// Options say which backend to open and where its files are. The zero value opens
// the best one there is that needs no trial, silently.
type Options struct {
	Name     string       // a kind, or "cuda:FILE" or "tpu:FILE" with the plugin's library; "" means Auto
	Threads  int          // XLA's thread pool, 1 to 256; 0 means DefaultThreads
	CacheDir string       // where plugins are kept; "" means carillon's folder in the user's cache
	Offline  bool         // use what is installed, never the network
	Progress io.Writer    // what happens, for a person, while a plugin is fetched or tried; nil: nothing
	Log      *slog.Logger // environment variables that were overridden; nil: nothing

	// Prober is the command line, less its arguments, of a process that runs
	// ProbeCommand: a device is tried in it. Without one no device is opened.
	Prober []string
	// Tried says that the device was tried already, by who started this process.
	Tried bool

	plugin string // the FILE of Name
	root   string // the system's files, "/" but for tests
}

// Backend is an open engine. It may be used by several goroutines.
type Backend struct {
	compute compute.Backend
	choice  Choice
	threads int
}

// A Choice is a backend that can be opened here.
type Choice struct {
	Kind string // CUDA, TPU, CPU or Go
	Name string // as Options.Name takes it, to open just this one in another process
	Why  string // in one line what it is and why it was taken; if Less, also how to get more
	Less bool   // Auto hoped for better: XLA, or a device that is there
}

// Compute returns the engine for building and running graphs. Only package model
// and its like may ask for it.
func (b *Backend) Compute() compute.Backend { return b.compute }

// Choice returns what was opened.
func (b *Backend) Choice() Choice { return b.choice }

// Kind returns CUDA, TPU, CPU or Go.
func (b *Backend) Kind() string { return b.choice.Kind }

// Why says in one line what was opened and why; where that is less than was
// hoped for, also how to get it.
func (b *Backend) Why() string { return b.choice.Why }

// Threads returns the size of XLA's thread pool on the CPU, or 0 for the others,
// whose bits do not depend on the number of threads.
func (b *Backend) Threads() int { return b.threads }

// Close frees the engine. Nothing that was made with it may be used afterwards.
func (b *Backend) Close() { b.compute.Finalize() }

// Open opens the backend that o names. It returns ctx's error when ctx ends while
// a plugin is being fetched or tried.
func Open(ctx context.Context, o Options) (*Backend, error) {
	o, err := o.filled()
	if err != nil {
		return nil, err
	}
	c, lacks, err := o.chooseDevice(ctx)
	if err != nil {
		return nil, err
	}
	if c.Kind == "" {
		return openHost(ctx, o, lacks)
	}
	be, err := openDevice(o, c)
	switch {
	case err == nil:
		return be, nil
	case o.Name != Auto:
		return nil, fmt.Errorf("open the %s backend: %w", c.Kind, err)
	}
	return openHost(ctx, o, append(lacks, notUsed(c.Kind, err)))
}

// Choose finds out what Open would open, for other processes on this machine that
// are to open the same: Choice.Name is their Options.Name, and a device that was
// tried here they may take as Tried. The device is not opened in this process.
func Choose(ctx context.Context, o Options) (Choice, error) {
	o, err := o.filled()
	if err != nil {
		return Choice{}, err
	}
	c, lacks, err := o.chooseDevice(ctx)
	if err != nil || c.Kind != "" {
		return c, err
	}
	be, err := openHost(ctx, o, lacks)
	if err != nil {
		return Choice{}, err
	}
	defer be.Close()
	return be.choice, nil
}

// openHost opens what runs on the host's cores. lacks says what would have been better.
func openHost(ctx context.Context, o Options, lacks []string) (*Backend, error) {
	if o.Name == Go {
		return openGo(o, "go: GoMLX's pure Go backend, as asked")
	}
	be, err := openCPU(ctx, o)
	switch {
	case err == nil:
		be.choice.Why = strings.Join(append([]string{be.choice.Why}, lacks...), "; ")
		be.choice.Less = len(lacks) > 0
		return be, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("open the cpu backend: %w", ctx.Err())
	case o.Name == CPU:
		return nil, fmt.Errorf("open the cpu backend: %w", err)
	}
	lacks = append([]string{"go: XLA, about 20 times faster, is not available: " + oneLine(err)}, lacks...)
	be, err = openGo(o, strings.Join(lacks, "; "))
	if err == nil {
		be.choice.Less = true
	}
	return be, err
}

// filled checks o and returns it with its defaults in place.
func (o Options) filled() (Options, error) {
	o.root = cmp.Or(o.root, "/")
	o.Threads = cmp.Or(o.Threads, DefaultThreads)
	o.Log = cmp.Or(o.Log, slog.New(slog.DiscardHandler))
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	o, err := o.named()
	if err != nil {
		return o, err
	}
	if o.Threads < 1 || o.Threads > 256 {
		return o, fmt.Errorf("threads %d is out of range; use 1 to 256", o.Threads)
	}
	return o.withCache()
}

// named takes the plugin's file out of the name, and checks both.
func (o Options) named() (Options, error) {
	kind, file, given := strings.Cut(cmp.Or(o.Name, Auto), ":")
	switch kind {
	case Auto, CPU, Go:
		if given {
			return o, fmt.Errorf("backend %q: only cuda and tpu take a file", o.Name)
		}
	case CUDA, TPU:
	default:
		return o, fmt.Errorf("backend %q is unknown; use auto, cuda, tpu, cpu or go", o.Name)
	}
	if given {
		path, err := pluginFile(file)
		if err != nil {
			return o, fmt.Errorf("backend %q: %w", o.Name, err)
		}
		o.plugin = path
	}
	o.Name = kind
	return o, nil
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
