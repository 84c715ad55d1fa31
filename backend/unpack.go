package backend

import (
	"archive/zip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/zeebo/xxh3"
)

// check returns nil if the library at path is the wheel's, byte for byte, an
// error that is fs.ErrNotExist if there is none, and else one that says what is
// wrong. It reads the file once, at memory speed where it is cached.
func (w wheel) check(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("%s: %w", w.what, err)
	}
	if info.Size() != w.librarySize {
		return fmt.Errorf("%s %s is damaged: %d bytes, want %d", w.what, path, info.Size(), w.librarySize)
	}
	sum, err := hashFile(path, xxh3.New128())
	if err != nil {
		return fmt.Errorf("read %s: %w", w.what, err)
	}
	if sum != w.libraryXXH3 {
		return fmt.Errorf("%s %s is damaged: xxh3 %s, want %s", w.what, path, sum, w.libraryXXH3)
	}
	return nil
}

// checkWheel returns nil if the file is the pinned wheel.
func (w wheel) checkWheel(path string) error {
	sum, err := hashFile(path, sha256.New())
	if err != nil {
		return fmt.Errorf("read the wheel: %w", err)
	}
	if sum != w.sha256 {
		return fmt.Errorf("%s is not the wheel that is pinned: sha256 %s, want %s", path, sum, w.sha256)
	}
	return nil
}

// unpack copies the library out of the wheel to path. It appears there whole,
// checked and on disk, or not at all; whoever calls holds the lock. The unfinished
// file has one fixed name, so that killed installations do not fill the disk.
func (w wheel) unpack(wheelFile, path string) error {
	archive, err := zip.OpenReader(wheelFile)
	if err != nil {
		return fmt.Errorf("open the wheel %s: %w", wheelFile, err)
	}
	defer archive.Close()
	in, err := archive.Open(wheelLibrary)
	if err != nil {
		return fmt.Errorf("open the wheel %s: %w", wheelFile, err)
	}
	defer in.Close()
	part := path + ".part"
	defer os.Remove(part)
	if err := writeFile(part, in); err != nil {
		return fmt.Errorf("unpack the wheel: %w", err)
	}
	if err := w.check(part); err != nil {
		return fmt.Errorf("unpack the wheel: %w", err)
	}
	if err := os.Rename(part, path); err != nil {
		return fmt.Errorf("unpack the wheel: %w", err)
	}
	return nil
}

// writeFile copies r into a file and onto the disk, from which alone a power cut
// cannot take it: a rename may reach the disk before the bytes do.
func writeFile(path string, r io.Reader) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.Copy(f, r); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	return f.Close()
}

// hashFile returns the hash of a file's bytes in hexadecimal.
func hashFile(path string, h hash.Hash) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	// The wrappers keep CopyBuffer from going around the large buffer.
	_, err = io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{f}, make([]byte, 1<<20))
	return hex.EncodeToString(h.Sum(nil)), err
}
