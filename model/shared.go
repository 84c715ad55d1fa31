package model

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/edsrzf/mmap-go"
	"github.com/gofrs/flock"
	"github.com/shirou/gopsutil/v4/disk"

	"carillon/backend"
	"carillon/endian"
	"carillon/model/nn"
)

// On a machine's cores its processes compute with the same frozen parameters, and need
// them in memory once: they map a file, which the first of them writes. It holds the
// base model's parameters one after another, as float32 at addresses that the engine
// takes, and the SHA-256 of all that, which is looked at before the file is mapped. The
// folder keeps one such file. Where this cannot be had, each has its own copy.

// shared is that file, mapped.
type shared struct {
	memory mmap.MMap
	layout layout
}

// layout says what lies where in it.
type layout struct {
	decls []nn.Decl
	at    []int  // the first byte of each
	size  int    // of all, in bytes
	name  string // of the file: another model's, or another layout, has another
}

const (
	sharedExt = ".weights"
	// spareDisk is what stays free where the file is written: other things live there.
	spareDisk = 1 << 30
)

func (m *Model) layout() layout {
	var l layout
	id := sha256.New()
	fmt.Fprintf(id, "weights 1: base %x\n", m.hash)
	for _, d := range m.base {
		if d.Key != "" {
			continue
		}
		fmt.Fprintf(id, "%s at %d: %v\n", d.Name, l.size, d.Shape)
		l.decls, l.at = append(l.decls, d), append(l.at, l.size)
		l.size = aligned(l.size + 4*d.Size())
	}
	l.name = hex.EncodeToString(id.Sum(nil)) + sharedExt
	return l
}

// aligned is the first multiple of what addresses must be from n on.
func aligned(n int) int {
	return (n + backend.ViewAlignment - 1) / backend.ViewAlignment * backend.ViewAlignment
}

// shares says whether this model's frozen parameters are to be mapped.
func (m *Model) shares(half bool) bool {
	return m.options.Share != "" && !half && m.engine != nil && m.engine.CanView()
}

// Unshared says why this model has its own copy of what Options.Share asks to map; nil
// if it maps it, or the engine cannot.
func (m *Model) Unshared() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.unshared
}

// viewFrozen makes buffers of frozen parameters where they lie, and returns those that
// lie nowhere. m.mu is held.
func (m *Model) viewFrozen(decls []nn.Decl) (rest []nn.Decl, err error) {
	if len(decls) == 0 {
		return nil, m.unshared
	}
	s, err := m.share()
	if err != nil {
		return decls, err
	}
	for i, d := range decls {
		x, shape := s.value(d), heldAs(d, false)
		if x == nil {
			rest = append(rest, d)
			continue
		}
		b, err := m.engine.View(x, shape)
		if err != nil {
			return append(rest, decls[i:]...), fmt.Errorf("show %s to the engine: %w", d.Name, oneLine{err})
		}
		m.buffers[place{d.Name, shape.DType}] = b
	}
	return rest, nil
}

// value is where a parameter's numbers lie; nil if they do not.
func (s *shared) value(d nn.Decl) []float32 {
	i := slices.IndexFunc(s.layout.decls, func(o nn.Decl) bool { return o.Name == d.Name && slices.Equal(o.Shape, d.Shape) })
	if i < 0 {
		return nil
	}
	at := s.layout.at[i]
	return endian.Numbers[float32](s.memory[at : at+4*d.Size()])
}

// share maps the file, and writes it first if there is none or it is damaged. m.mu is held.
func (m *Model) share() (*shared, error) {
	if m.shared != nil {
		return m.shared, nil
	}
	l, dir := m.layout(), m.options.Share
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	path, lock := filepath.Join(dir, l.name), flock.New(filepath.Join(dir, "lock"))
	defer lock.Close()
	if err := lock.RLock(); err != nil {
		return nil, err
	}
	before, _ := os.Stat(path)
	s, err := l.open(path)
	if err != nil {
		if err := errors.Join(lock.Unlock(), m.rewrite(l, path, lock, before), lock.RLock()); err != nil {
			return nil, fmt.Errorf("write the weights for all processes of this machine: %w", err)
		}
		s, err = l.open(path)
	}
	m.shared = s
	return s, err
}

// rewrite writes the file in place of all others, unless another process has, since it was
// as before: nil, if it was not there.
func (m *Model) rewrite(l layout, path string, lock *flock.Flock, before fs.FileInfo) error {
	if err := lock.Lock(); err != nil {
		return err
	}
	defer lock.Unlock()
	if now, err := os.Stat(path); err == nil && (before == nil || !os.SameFile(now, before)) {
		return nil
	}
	if err := clearOut(filepath.Dir(path)); err != nil {
		return err
	}
	if d, err := disk.Usage(filepath.Dir(path)); err == nil && d.Free < uint64(l.size)+spareDisk {
		return fmt.Errorf("%s has %s free, want %s and %s to spare", filepath.Dir(path), humanize.Bytes(d.Free), humanize.Bytes(uint64(l.size)), humanize.Bytes(spareDisk))
	}
	return m.write(l, path)
}

// clearOut removes the files in the folder. Who has one mapped keeps what it has.
func clearOut(dir string) error {
	files, err := os.ReadDir(dir)
	errs := []error{err}
	for _, f := range files {
		if name := strings.TrimSuffix(f.Name(), ".part"); filepath.Ext(name) == sharedExt {
			errs = append(errs, os.Remove(filepath.Join(dir, f.Name())))
		}
	}
	return errors.Join(errs...)
}

// open maps a file that is whole. It is read first, so that a disk that fails is an error
// and not a fault of this process.
func (l layout) open(path string) (*shared, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	sum, want := sha256.New(), make([]byte, sha256.Size)
	if _, err := io.CopyN(sum, f, int64(l.size)); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if _, err := io.ReadFull(f, want); err != nil || !bytes.Equal(sum.Sum(nil), want) {
		return nil, errors.Join(fmt.Errorf("%s is damaged", path), err)
	}
	m, err := mmap.Map(f, mmap.RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	return &shared{m, l}, nil
}

// write makes the file, whole or not at all.
func (m *Model) write(l layout, path string) error {
	f, err := os.Create(path + ".part")
	if err != nil {
		return err
	}
	err = m.writeTo(f, l)
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// writeTo writes parameters and hash.
func (m *Model) writeTo(f io.Writer, l layout) error {
	buf, sum := bufio.NewWriterSize(f, 1<<20), sha256.New()
	out := io.MultiWriter(buf, sum)
	err := m.read(l.decls, func(r reader) error {
		var x []float32
		for _, d := range l.decls {
			x = slices.Grow(x[:0], d.Size())[:d.Size()]
			if err := r.value(d, x); err != nil {
				return err
			}
			if _, err := out.Write(endian.View(x)); err != nil {
				return err
			}
			if _, err := out.Write(make([]byte, aligned(4*d.Size())-4*d.Size())); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	buf.Write(sum.Sum(nil)) // Flush tells of its error
	return buf.Flush()
}
