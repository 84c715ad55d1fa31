package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// Install returns the path of XLA's CPU plugin in the cache, whole and checked.
// If it is not there, or damaged, it is made from the wheel that lies beside it,
// or else from the network unless o.Offline. Several processes may call it at
// once: one fetches, the others wait. What is interrupted leaves no plugin behind.
func Install(ctx context.Context, o Options) (path string, err error) {
	o, err = o.filled()
	if err != nil {
		return "", err
	}
	w, err := wheelFor(runtime.GOOS, runtime.GOARCH)
	if err != nil {
		return "", err
	}
	in := installation{
		wheel:    w,
		dir:      filepath.Join(o.CacheDir, "xla", strings.TrimSuffix(w.name, ".whl")),
		offline:  o.Offline,
		lookUp:   lookUp,
		patience: patience,
		progress: o.Progress,
	}
	return in.run(ctx)
}

// An installation is one wheel's folder in the cache. Beside the library may lie
// a copy of the wheel, put there by a person for a machine without network.
type installation struct {
	wheel    wheel
	dir      string
	offline  bool
	lookUp   func(context.Context, wheel) (url string, err error)
	patience time.Duration
	progress io.Writer
}

func (in installation) library() string { return filepath.Join(in.dir, filepath.Base(wheelLibrary)) }

// run returns the library's path, having made the library if need be.
func (in installation) run(ctx context.Context) (string, error) {
	// The usual case takes no lock: a library appears by rename, whole or not at all.
	if in.wheel.check(in.library()) == nil {
		return in.library(), nil
	}
	if err := in.possible(); err != nil {
		return "", err
	}
	unlock, err := in.lock(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	switch err := in.wheel.check(in.library()); {
	case err == nil: // another process was faster
		return in.library(), nil
	case !errors.Is(err, fs.ErrNotExist):
		fmt.Fprintf(in.progress, "%v; making it again\n", err)
	}
	return in.library(), in.install(ctx)
}

// possible says what is missing where nothing can be installed, before a folder
// or a lock is made for it.
func (in installation) possible() error {
	if !in.offline {
		return nil
	}
	if _, err := os.Stat(in.copied()); err == nil {
		return nil
	}
	err := in.wheel.check(in.library())
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s is not installed", in.wheel.what)
	}
	return fmt.Errorf("%w, and the network is not to be used; run once without --offline, or %s", err, in.hint())
}

// hint says what a person can do where the network fails.
func (in installation) hint() string {
	return fmt.Sprintf("put a copy of %s into %s", in.wheel.name, in.dir)
}

// copied is where a person may put a copy of the wheel.
func (in installation) copied() string { return filepath.Join(in.dir, in.wheel.name) }

// lock makes the folder and holds its lock file until unlock is called. The
// kernel frees the lock of a process that dies.
func (in installation) lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(in.dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the cache folder: %w", err)
	}
	l := flock.New(filepath.Join(in.dir, "lock"))
	ok, err := l.TryLock()
	if err == nil && !ok {
		fmt.Fprintln(in.progress, "waiting for another process that installs", in.wheel.what)
		_, err = l.TryLockContext(ctx, 50*time.Millisecond)
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", l.Path(), err)
	}
	return func() { _ = l.Close() }, nil
}

// install makes the library; the lock is held.
func (in installation) install(ctx context.Context) error {
	file := in.copied()
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		file += ".part"
		defer os.Remove(file)
		if err := in.fetch(ctx, file); err != nil {
			return fmt.Errorf("%w; try again, or %s", err, in.hint())
		}
	} else if err := in.wheel.checkWheel(file); err != nil {
		return fmt.Errorf("%w; remove it", err)
	}
	if err := in.wheel.unpack(file, in.library()); err != nil {
		return err
	}
	fmt.Fprintf(in.progress, "installed XLA's CPU plugin: %s\n", in.library())
	return nil
}
