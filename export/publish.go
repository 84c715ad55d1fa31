package export

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// publish makes the directory out by fill, which gets an empty one beside it. If
// out exists, ours says what is wrong with replacing it.
func publish(out string, ours func(dir string) error, fill func(dir string) error) error {
	out = filepath.Clean(out)
	if err := replaceable(out, ours); err != nil {
		return err
	}
	parent := filepath.Dir(out)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(parent, "."+filepath.Base(out)+"-*")
	if err != nil {
		return err
	}
	err = cmp.Or(os.Chmod(tmp, 0o755), fill(tmp), syncAll(tmp))
	if err == nil {
		err = put(tmp, out)
	}
	// Whatever lies under the temporary name now is not wanted: what could not be
	// finished, or what was replaced.
	return cmp.Or(err, os.RemoveAll(tmp), syncPath(parent))
}

// replaceable says what is wrong with making out, where something has its name.
func replaceable(out string, ours func(dir string) error) error {
	info, err := os.Stat(out)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is a file; name a directory for the export", out)
	}
	entries, err := os.ReadDir(out)
	if err != nil || len(entries) == 0 {
		return err
	}
	if err := ours(out); err != nil {
		return fmt.Errorf("%s holds something else than an earlier export (%w); name another directory", out, err)
	}
	return nil
}

// put gives tmp the name out, and what had that name, if anything, the name tmp.
func put(tmp, out string) error {
	err := os.Rename(tmp, out)
	if errors.Is(err, fs.ErrExist) {
		return exchange(tmp, out)
	}
	return err
}

// onlyFiles says which of dir's entries is no plain file of the given names.
func onlyFiles(dir string, known func(name string) bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !e.Type().IsRegular() || !known(e.Name()) {
			return fmt.Errorf("%s is no part of one", e.Name())
		}
	}
	return nil
}

// syncAll makes a directory's files and their names durable.
func syncAll(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := syncPath(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return syncPath(dir)
}

func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return cmp.Or(f.Sync(), f.Close())
}
