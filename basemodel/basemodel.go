// Package basemodel puts the model that a job starts from into the object store, and
// gets it from there: nodes of a cluster never see the user's folder.
//
// # How
//
// Files are cut into pieces of 64 MiB, each an object that is named by its content, so
// that what is there already, of this job or of another, is not sent again. A list of
// files and pieces is an object too; its hash names the whole model.
//
// # Failure
//
// Every piece is verified before it is used, and the folder appears whole, under its
// hash, or not at all. Two processes of a machine may get the same model at once: one
// of them does the work, the other waits.
//
// # Who decides
//
// The caller says which files make up a model (model.Files).
package basemodel

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"carillon/checkpoint"
	"carillon/objstore"
)

// pieceSize is that of all pieces of a file but the last, in bytes.
const pieceSize = 64 << 20

// lockPause is how often a process looks whether another has the model.
const lockPause = 100 * time.Millisecond

// list is what a model consists of.
type list struct {
	Version int    `json:"version"` // 1
	Files   []file `json:"files"`
}

type file struct {
	Name   string  `json:"name"`
	Pieces []piece `json:"pieces"`
}

type piece struct {
	SHA256 string `json:"sha256"`
	Size   int64  `json:"size"`
}

// Progress hears how many bytes of how many are done.
type Progress func(done, total int64)

// Put stores the files of a model's directory and returns the hash that names it.
func Put(ctx context.Context, store objstore.Store, dir string, names []string, progress Progress) (hash string, err error) {
	total, done := int64(0), int64(0)
	for _, name := range names {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			return "", err
		}
		total += info.Size()
	}
	l := list{Version: 1}
	for _, name := range names {
		f := file{Name: name}
		err := cut(filepath.Join(dir, name), func(data []byte) error {
			p := piece{SHA256: hashOf(data), Size: int64(len(data))}
			f.Pieces = append(f.Pieces, p)
			done += p.Size
			progress(done, total)
			return put(ctx, store, checkpoint.ModelPieceKey(p.SHA256), data)
		})
		if err != nil {
			return "", fmt.Errorf("store the base model: %s: %w", name, err)
		}
		l.Files = append(l.Files, f)
	}
	text, err := json.Marshal(l)
	if err != nil {
		return "", err
	}
	hash = hashOf(text)
	return hash, put(ctx, store, checkpoint.ModelKey(hash), text)
}

// cut calls fn with each piece of a file, whose bytes are the next call's again.
func cut(path string, fn func([]byte) error) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	buf := make([]byte, pieceSize)
	for {
		n, err := io.ReadFull(f, buf)
		if err == io.EOF {
			return nil
		}
		if err != nil && err != io.ErrUnexpectedEOF {
			return err
		}
		if err := fn(buf[:n]); err != nil {
			return err
		}
	}
}

// put stores an object that is named by its content. Large ones are looked for first.
func put(ctx context.Context, store objstore.Store, key string, data []byte) error {
	if r, info, err := store.Get(ctx, key, 0, 1); err == nil {
		r.Close()
		if info.Size == int64(len(data)) {
			return nil
		}
	}
	err := store.PutIfAbsent(ctx, key, bytes.NewReader(data), int64(len(data)))
	if errors.Is(err, objstore.ErrExist) {
		return nil
	}
	return err
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// Get returns the directory in cache that holds the model with a hash, and fetches it
// where it is not there.
func Get(ctx context.Context, store objstore.Store, hash, cache string, progress Progress) (dir string, err error) {
	if raw, err := hex.DecodeString(hash); err != nil || len(raw) != sha256.Size {
		return "", fmt.Errorf("base model %q: want a SHA-256 in hexadecimal", hash)
	}
	dir = filepath.Join(cache, hash)
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", err
	}
	lock := flock.New(dir + ".lock")
	if _, err := lock.TryLockContext(ctx, lockPause); err != nil {
		return "", fmt.Errorf("wait for another process to fetch the base model: %w", err)
	}
	defer lock.Unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := fetch(ctx, store, hash, dir, progress); err != nil {
		return "", fmt.Errorf("fetch base model %.16s from the store: %w", hash, err)
	}
	return dir, nil
}

// fetch makes dir, whole or not at all.
func fetch(ctx context.Context, store objstore.Store, hash, dir string, progress Progress) error {
	l, err := readList(ctx, store, hash)
	if err != nil {
		return err
	}
	if err := os.RemoveAll(dir + ".part"); err != nil {
		return err
	}
	if err := os.MkdirAll(dir+".part", 0o755); err != nil {
		return err
	}
	total, done := int64(0), int64(0)
	for _, f := range l.Files {
		for _, p := range f.Pieces {
			total += p.Size
		}
	}
	for _, f := range l.Files {
		err := f.fetch(ctx, store, dir+".part", func(n int64) { done += n; progress(done, total) })
		if err != nil {
			return err
		}
	}
	return os.Rename(dir+".part", dir)
}

func readList(ctx context.Context, store objstore.Store, hash string) (l list, err error) {
	text, _, err := objstore.ReadAll(ctx, store, checkpoint.ModelKey(hash))
	if err != nil {
		return l, err
	}
	if got := hashOf(text); got != hash {
		return l, fmt.Errorf("%s is damaged: its SHA-256 is %s", checkpoint.ModelKey(hash), got)
	}
	if err := json.Unmarshal(text, &l); err != nil {
		return l, fmt.Errorf("%s: %w", checkpoint.ModelKey(hash), err)
	}
	for _, f := range l.Files {
		if f.Name != filepath.Base(f.Name) || f.Name == "." || f.Name == ".." || l.Version != 1 {
			return l, fmt.Errorf("%s: file %q of a list of version %d: want plain names and version 1", checkpoint.ModelKey(hash), f.Name, l.Version)
		}
	}
	return l, nil
}

func (f file) fetch(ctx context.Context, store objstore.Store, dir string, got func(int64)) error {
	out, err := os.Create(filepath.Join(dir, f.Name))
	if err != nil {
		return err
	}
	defer out.Close()
	for _, p := range f.Pieces {
		if err := p.fetch(ctx, store, out); err != nil {
			return fmt.Errorf("%s: %w", f.Name, err)
		}
		got(p.Size)
	}
	return out.Close()
}

func (p piece) fetch(ctx context.Context, store objstore.Store, to io.Writer) error {
	key := checkpoint.ModelPieceKey(p.SHA256)
	r, info, err := store.Get(ctx, key, 0, -1)
	if err != nil {
		return err
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(io.MultiWriter(to, h), r); err != nil {
		return fmt.Errorf("%s: %w", key, err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != p.SHA256 || info.Size != p.Size {
		return fmt.Errorf("%s is damaged: %d bytes with SHA-256 %s, want %d", key, info.Size, got, p.Size)
	}
	return nil
}
