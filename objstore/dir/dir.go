// Package dir keeps objects as files in a folder: the store of a run on one
// machine, and of several that share a file system with links and locks.
//
// # How
//
// An object is written to a file under .tmp, made durable, and then given its
// name by link(2), which fails if the name is taken. Swap holds a file lock,
// compares the content's hash, and renames. After each, the folder is made
// durable too.
//
// # Failure
//
// A process that is killed leaves a file under .tmp and nothing else; Open
// removes such files when they are a day old. A full disk is an error that says
// so, and nothing of the object remains.
package dir

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"

	"carillon/objstore"
)

var _ objstore.Store = (*Store)(nil)

// Store is a folder of objects. It holds no open files between calls.
type Store struct{ root string }

// staleAfter is when a file under .tmp belongs to no one any more.
const staleAfter = 24 * time.Hour

// Open returns the store in the folder path, which it makes if need be.
func Open(path string) (*Store, error) {
	if path == "" {
		return nil, errors.New("open store: the folder has no name")
	}
	root, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{root}
	if err := s.makeDirs(s.tmp()); err != nil {
		return nil, s.explain("open store", err)
	}
	return s, s.sweep()
}

func (s *Store) tmp() string            { return filepath.Join(s.root, ".tmp") }
func (s *Store) path(key string) string { return filepath.Join(s.root, filepath.FromSlash(key)) }

// sweep removes what killed processes left.
func (s *Store) sweep() error {
	entries, err := os.ReadDir(s.tmp())
	if err != nil {
		return fmt.Errorf("open store: %w", err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > staleAfter {
			_ = os.Remove(filepath.Join(s.tmp(), e.Name())) // another process may be first
		}
	}
	return nil
}

// PutIfAbsent implements objstore.Store.
func (s *Store) PutIfAbsent(ctx context.Context, key string, r io.Reader, size int64) error {
	if err := cmp.Or(ctx.Err(), objstore.CheckKey(key)); err != nil {
		return err
	}
	if _, err := os.Lstat(s.path(key)); err == nil {
		return s.taken(key)
	}
	tmp, err := s.write(ctx, func(w io.Writer) error { return objstore.ReadExactly(w, r, key, size) })
	if err != nil {
		return s.explain("put "+key, err)
	}
	defer os.Remove(tmp)
	err = s.place(key, func(path string) error { return os.Link(tmp, path) })
	if errors.Is(err, fs.ErrExist) {
		return s.taken(key)
	}
	return s.explain("put "+key, err)
}

// taken makes sure that the object that is there lasts (whoever made it may have
// been killed before it did), for the caller is going to count on it.
func (s *Store) taken(key string) error {
	if err := syncDir(filepath.Dir(s.path(key))); err != nil {
		return s.explain("put "+key, err)
	}
	return fmt.Errorf("put %s: %w", key, objstore.ErrExist)
}

// Get implements objstore.Store.
func (s *Store) Get(ctx context.Context, key string, off, n int64) (io.ReadCloser, objstore.Info, error) {
	if err := cmp.Or(ctx.Err(), objstore.CheckKey(key)); err != nil {
		return nil, objstore.Info{}, err
	}
	f, err := os.Open(s.path(key))
	if absent(err) {
		return nil, objstore.Info{}, fmt.Errorf("get %s: %w", key, objstore.ErrNotExist)
	}
	if err != nil {
		return nil, objstore.Info{}, fmt.Errorf("get %s: %w", key, err)
	}
	r, info, err := section(f, key, off, n)
	if err != nil {
		f.Close()
	}
	return r, info, err
}

// section returns the part of f that was asked for. A small file is read whole
// and at once, so that its tag is that of the bytes that are returned.
func section(f *os.File, key string, off, n int64) (io.ReadCloser, objstore.Info, error) {
	stat, err := f.Stat()
	if err != nil || !stat.Mode().IsRegular() {
		return nil, objstore.Info{}, cmp.Or(err, fmt.Errorf("get %s: it is a folder, not an object: %w", key, objstore.ErrNotExist))
	}
	info := objstore.Info{Size: stat.Size()}
	from, to, err := objstore.Span(key, info.Size, off, n)
	if err != nil {
		return nil, info, err
	}
	if info.Size > objstore.MaxSwap {
		return readCloser{io.NewSectionReader(f, from, to-from), f}, info, nil
	}
	b, err := io.ReadAll(f)
	if err == nil && int64(len(b)) != info.Size {
		err = fmt.Errorf("get %s: %d of %d bytes came", key, len(b), info.Size)
	}
	if err != nil {
		return nil, info, err
	}
	info.Tag = objstore.TagOf(b)
	return io.NopCloser(bytes.NewReader(b[from:to])), info, f.Close()
}

type readCloser struct {
	io.Reader
	io.Closer
}

// lockRetry is how often a taken lock is tried again. A swap takes milliseconds.
const lockRetry = 2 * time.Millisecond

// Swap implements objstore.Store.
func (s *Store) Swap(ctx context.Context, key, old string, value []byte) (tag string, err error) {
	if err := cmp.Or(ctx.Err(), objstore.CheckSwap(key, value)); err != nil {
		return "", err
	}
	lock := flock.New(filepath.Join(s.root, ".lock"))
	if _, err := lock.TryLockContext(ctx, lockRetry); err != nil {
		return "", s.explain("swap "+key+": wait for the lock "+lock.Path(), err)
	}
	defer func() { err = cmp.Or(err, lock.Close()) }()
	if tag, err := s.tag(key); err != nil || tag != old {
		return "", cmp.Or(err, fmt.Errorf("swap %s: %w", key, objstore.ErrStale))
	}
	tmp, err := s.write(ctx, func(w io.Writer) error { _, err := w.Write(value); return err })
	if err != nil {
		return "", s.explain("swap "+key, err)
	}
	defer os.Remove(tmp)
	if err := s.place(key, func(path string) error { return os.Rename(tmp, path) }); err != nil {
		return "", s.explain("swap "+key, err)
	}
	return objstore.TagOf(value), nil
}

// tag returns the tag of what is stored under key, "" if nothing is.
func (s *Store) tag(key string) (string, error) {
	b, err := os.ReadFile(s.path(key))
	if absent(err) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("swap %s: %w", key, err)
	}
	return objstore.TagOf(b), nil
}

// List implements objstore.Store.
func (s *Store) List(ctx context.Context, prefix string, fn func(key string) error) error {
	keys, err := s.keys(prefix)
	if err != nil {
		return fmt.Errorf("list %s: %w", prefix, err)
	}
	for _, key := range keys {
		if err := cmp.Or(ctx.Err(), fn(key)); err != nil {
			return err
		}
	}
	return nil
}

// keys returns the sorted keys with a prefix. Only the folder that holds them all
// is walked, and what vanishes meanwhile is not there.
func (s *Store) keys(prefix string) (keys []string, err error) {
	top := s.root
	if i := strings.LastIndexByte(prefix, '/'); i > 0 {
		top = s.path(prefix[:i])
	}
	err = filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
		switch {
		case absent(err):
			return nil
		case err != nil:
			return err
		case path != top && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.Type().IsRegular():
			rel, err := filepath.Rel(s.root, path)
			if key := filepath.ToSlash(rel); err == nil && strings.HasPrefix(key, prefix) {
				keys = append(keys, key)
			}
			return err
		}
		return nil
	})
	slices.Sort(keys) // a walk puts a/b before a-b
	return keys, err
}

// Remove implements objstore.Store. Folders that it leaves empty go too.
func (s *Store) Remove(ctx context.Context, key string) error {
	if err := cmp.Or(ctx.Err(), objstore.CheckKey(key)); err != nil {
		return err
	}
	path := s.path(key)
	if err := os.Remove(path); absent(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("remove %s: %w", key, err)
	}
	for parent := filepath.Dir(path); parent != s.root; parent = filepath.Dir(parent) {
		if os.Remove(parent) != nil { // it holds something, or has been removed
			break
		}
	}
	return nil
}

// absent says whether err means that there is no such object.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// explain adds what was done to an error, and, where a person must act, what to do.
func (s *Store) explain(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return fmt.Errorf("%s: %w: make room on the disk of %s, or choose another store: %w", op, objstore.ErrFull, s.root, err)
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%s: the store %s cannot be written to: %w", op, s.root, err)
	}
	return fmt.Errorf("%s: %w", op, err)
}
