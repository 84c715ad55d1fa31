package backend

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"time"
)

// A bundle is what a device's plugin needs: the files of several wheels in one
// folder, laid out as pip does, where they find one another.
type bundle struct {
	name     string // of its folder in the cache, with the version
	platform string // that the wheels are for, as Go names it
	what     string // for people
	notice   string // said when it has been installed, or ""
	wheels   []wheel
	keep     []string // patterns of the files that are unpacked
	plugin   string   // the plugin's library among them: the first wheel's
}

// InstallDevice returns the path of the plugin for CUDA or TPU in the cache. What is
// not there is made from the wheels that lie beside it, or else from the network
// unless o.Offline. Several processes may call it at once. What is interrupted goes
// on where it was: a wheel that was unpacked is not fetched again.
func InstallDevice(ctx context.Context, kind string, o Options) (string, error) {
	o, err := o.filled()
	if err != nil {
		return "", err
	}
	d, ok := deviceOf(kind)
	if !ok {
		return "", fmt.Errorf("device %q is unknown; use cuda or tpu", kind)
	}
	return o.bundling(d).run(ctx)
}

// A bundling is a bundle's folder in the cache. Beside the unpacked files may lie
// copies of the wheels, put there by a person for a machine without network.
type bundling struct {
	bundle
	dir      string
	offline  bool
	lookUp   func(context.Context, wheel) (url string, err error)
	patience time.Duration
	progress io.Writer
}

func (o Options) bundling(d device) bundling {
	return bundling{bundle: d.bundle, dir: filepath.Join(o.CacheDir, "xla", d.bundle.name), offline: o.Offline, lookUp: lookUp, patience: patience, progress: o.Progress}
}

func (b bundling) site() string    { return filepath.Join(b.dir, "site") }
func (b bundling) library() string { return filepath.Join(b.site(), b.plugin) }

// installation is what one of the wheels shares with the CPU's: how it is fetched.
func (b bundling) installation(w wheel) installation {
	return installation{wheel: w, dir: b.dir, offline: b.offline, lookUp: b.lookUp, patience: b.patience, progress: b.progress}
}

// size is how much is fetched, in bytes.
func (b bundle) size() (n int64) {
	for _, w := range b.wheels {
		n += w.size
	}
	return n
}

// copied says whether all wheels lie in the folder.
func (b bundling) copied() bool {
	for _, w := range b.wheels {
		if _, err := os.Stat(b.installation(w).copied()); err != nil {
			return false
		}
	}
	return true
}

// run returns the library's path, having made the folder if need be.
func (b bundling) run(ctx context.Context) (string, error) {
	if b.check() == nil {
		return b.library(), nil
	}
	if err := b.possible(); err != nil {
		return "", err
	}
	unlock, err := b.installation(b.wheels[0]).lock(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	switch err := b.check(); {
	case err == nil: // another process was faster
		return b.library(), nil
	case !errors.Is(err, fs.ErrNotExist):
		fmt.Fprintf(b.progress, "%v; making it again\n", err)
	}
	return b.library(), b.install(ctx)
}

// possible says what is missing where nothing can be installed.
func (b bundling) possible() error {
	if runtime.GOOS+"/"+runtime.GOARCH != b.platform {
		return fmt.Errorf("%s is fetched for %s, not for %s/%s; a file can be given", b.what, b.platform, runtime.GOOS, runtime.GOARCH)
	}
	if !b.offline || b.copied() {
		return nil
	}
	err := b.check()
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%s is not installed", b.what)
	}
	return fmt.Errorf("%w, and the network is not to be used; run once without --offline, or %s", err, b.hint())
}

// hint says what a person can do where the network fails.
func (b bundling) hint() string {
	return fmt.Sprintf("put copies of its %d wheels, from %s on, into %s", len(b.wheels), b.wheels[0].name, b.dir)
}

// check returns nil if all files are there in their sizes and the plugin is, byte
// for byte, the one that is pinned.
func (b bundling) check() error {
	for _, w := range b.wheels {
		files, err := readStamp(b.site(), w)
		if err != nil {
			return err
		}
		for name, size := range files {
			info, err := os.Stat(filepath.Join(b.site(), name))
			if err != nil {
				return err
			}
			if info.Size() != size {
				return fmt.Errorf("%s is damaged: %s has %d bytes, want %d", b.what, name, info.Size(), size)
			}
		}
	}
	return b.wheels[0].check(b.library())
}

// install makes the folder; the lock is held.
func (b bundling) install(ctx context.Context) error {
	part := b.site() + ".part"
	fmt.Fprintf(b.progress, "installing %s, once: %d MB into %s\n", b.what, b.size()/1_000_000, b.dir)
	for _, w := range b.wheels {
		if err := b.add(ctx, w, part); err != nil {
			return err
		}
	}
	if err := b.wheels[0].check(filepath.Join(part, b.plugin)); err != nil {
		return errors.Join(err, os.RemoveAll(part))
	}
	if err := os.RemoveAll(b.site()); err != nil {
		return err
	}
	if err := os.Rename(part, b.site()); err != nil {
		return err
	}
	fmt.Fprintf(b.progress, "installed %s: %s\n", b.what, b.library())
	if b.notice != "" {
		fmt.Fprintln(b.progress, b.notice)
	}
	return nil
}

// add unpacks a wheel into dir, unless that was done before.
func (b bundling) add(ctx context.Context, w wheel, dir string) error {
	if _, err := readStamp(dir, w); err == nil {
		return nil
	}
	in := b.installation(w)
	file := in.copied()
	if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
		file += ".part"
		defer os.Remove(file)
		if err := in.fetch(ctx, file); err != nil {
			return fmt.Errorf("%w; try again, or %s", err, b.hint())
		}
	} else if err := w.checkWheel(file); err != nil {
		return fmt.Errorf("%w; remove it", err)
	}
	files, err := b.unpack(file, dir)
	if err != nil {
		return fmt.Errorf("unpack %s: %w", w.name, err)
	}
	return writeStamp(dir, w, files)
}

// unpack copies the wheel's files that are kept into dir and returns their sizes.
func (b bundle) unpack(wheelFile, dir string) (map[string]int64, error) {
	archive, err := zip.OpenReader(wheelFile)
	if err != nil {
		return nil, err
	}
	defer archive.Close()
	files := map[string]int64{}
	for _, f := range archive.File {
		if !b.keeps(f.Name) {
			continue
		}
		if err := unpackFile(f, filepath.Join(dir, f.Name)); err != nil {
			return nil, err
		}
		files[f.Name] = int64(f.UncompressedSize64)
	}
	return files, nil
}

func (b bundle) keeps(name string) bool {
	for _, pattern := range b.keep {
		if ok, err := path.Match(pattern, name); ok && err == nil && filepath.IsLocal(name) {
			return true
		}
	}
	return false
}

func unpackFile(f *zip.File, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	in, err := f.Open()
	if err != nil {
		return err
	}
	defer in.Close()
	if err := writeFile(to, in); err != nil {
		return err
	}
	return os.Chmod(to, 0o644|f.Mode().Perm()&0o111)
}

// A stamp tells that a wheel was unpacked, whole: the sizes of its files by name.
func stampOf(dir string, w wheel) string { return filepath.Join(dir, w.name+".json") }

func readStamp(dir string, w wheel) (files map[string]int64, err error) {
	b, err := os.ReadFile(stampOf(dir, w))
	if err != nil {
		return nil, err
	}
	return files, json.Unmarshal(b, &files)
}

func writeStamp(dir string, w wheel, files map[string]int64) error {
	b, err := json.Marshal(files)
	if err != nil {
		return err
	}
	return os.WriteFile(stampOf(dir, w), b, 0o644)
}
