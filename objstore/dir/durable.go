package dir

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// write fills a new file under .tmp and makes it durable. On error nothing of it
// is left.
func (s *Store) write(ctx context.Context, fill func(io.Writer) error) (path string, err error) {
	f, err := os.CreateTemp(s.tmp(), "put-*")
	if err != nil {
		return "", err
	}
	err = cmp.Or(fill(f), f.Chmod(0o644), f.Sync(), ctx.Err())
	if err = cmp.Or(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(f.Name()))
	}
	return f.Name(), nil
}

// placeTries bounds how often a folder that vanishes is made again.
const placeTries = 16

// place gives a file its name by name(path) and makes that durable. The folder is
// made if need be, again if a Remove took it away in between.
func (s *Store) place(key string, name func(path string) error) error {
	path := s.path(key)
	var err error
	for range placeTries {
		if err = s.makeDirs(filepath.Dir(path)); err == nil {
			err = name(path)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// makeDirs makes a folder and those above it, durably.
func (s *Store) makeDirs(path string) error {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := s.makeDirs(parent); err != nil {
			return err
		}
	}
	if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(parent)
}

// syncDir makes the names in a folder durable. Some file systems cannot, and say
// so: there is no more that one could do.
func syncDir(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	err = f.Sync()
	if errors.Is(err, syscall.EINVAL) || errors.Is(err, syscall.ENOTSUP) {
		err = nil
	}
	return cmp.Or(err, f.Close())
}
