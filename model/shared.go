package model

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/edsrzf/mmap-go"
	"github.com/gofrs/flock"

	"carillon/backend"
	"carillon/endian"
	"carillon/model/nn"
)

// On a machine's cores its processes compute with the same frozen parameters, and need
// them in memory once: they map a file, which the first of them writes. It holds the
// parameters one after another, as float32 at addresses that the engine takes, and the
// SHA-256 of all that, which is looked at whenever the file is mapped.

// shared is that file, mapped.
type shared struct {
	memory mmap.MMap
	layout layout
}

// layout says what lies where in it.
type layout struct {
	decls []nn.Decl
	at    map[string]int // parameter -> its first byte
	size  int            // of all parameters
	name  string         // of the file: another model's, or another layout, has another
}

func (m *Model) layout() layout {
	l := layout{at: map[string]int{}}
	id := sha256.New()
	fmt.Fprintf(id, "weights 1: base %x seed %d\n", m.hash, m.options.Seed)
	for _, d := range m.base {
		if d.Key != "" {
			continue
		}
		fmt.Fprintf(id, "%s at %d: %v\n", d.Name, l.size, d.Shape)
		l.decls, l.at[d.Name] = append(l.decls, d), l.size
		l.size = aligned(l.size + 4*d.Size())
	}
	l.name = fmt.Sprintf("%x.weights", id.Sum(nil))
	return l
}

// aligned is the first multiple of what addresses must be from n on.
func aligned(n int) int {
	return (n + backend.ViewAlignment - 1) / backend.ViewAlignment * backend.ViewAlignment
}

// shares says whether this model's frozen parameters are mapped.
func (m *Model) shares(half bool) bool {
	return m.options.Share != "" && !half && m.engine != nil && m.engine.CanView()
}

// viewFrozen makes buffers of frozen parameters where they lie, and returns those that
// are not the base model's and lie nowhere. m.mu is held.
func (m *Model) viewFrozen(decls []nn.Decl) (rest []nn.Decl, err error) {
	s, err := m.share()
	if err != nil {
		return nil, err
	}
	for _, d := range decls {
		x, shape := s.value(d), heldAs(d, false)
		if x == nil {
			rest = append(rest, d)
			continue
		}
		b, err := m.engine.View(x, shape)
		if err != nil {
			return nil, fmt.Errorf("show %s to the engine: %w", d.Name, oneLine{err})
		}
		m.buffers[place{d.Name, shape.DType}] = b
	}
	return rest, nil
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
	path := filepath.Join(dir, l.name)
	lock := flock.New(path + ".lock")
	if err := lock.Lock(); err != nil {
		return nil, fmt.Errorf("wait for another process to write the weights that are shared: %w", err)
	}
	defer lock.Close()
	s, err := l.open(path)
	if err != nil {
		if err = m.write(l, path); err == nil {
			s, err = l.open(path)
		}
	}
	m.shared = s
	return s, err
}

// open maps a file that is whole.
func (l layout) open(path string) (*shared, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() != int64(l.size+sha256.Size) {
		return nil, errors.Join(fmt.Errorf("%s is not of %d bytes", path, l.size+sha256.Size), err)
	}
	m, err := mmap.Map(f, mmap.RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	if sum := sha256.Sum256(m[:l.size]); !bytes.Equal(sum[:], m[l.size:]) {
		return nil, errors.Join(fmt.Errorf("%s is damaged", path), m.Unmap())
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
		return fmt.Errorf("write the weights for all processes of this machine: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

// writeTo writes parameters and hash.
func (m *Model) writeTo(f io.Writer, l layout) error {
	out := &summed{w: bufio.NewWriterSize(f, 1<<20), sum: sha256.New()}
	err := m.read(l.decls, func(r reader) error {
		var x []float32
		for _, d := range l.decls {
			x = slices.Grow(x[:0], d.Size())[:d.Size()]
			if err := r.value(d, x); err != nil {
				return err
			}
			out.put(endian.View(x))
			out.put(make([]byte, aligned(4*d.Size())-4*d.Size()))
		}
		return nil
	})
	out.put(out.sum.Sum(nil))
	return errors.Join(err, out.err, out.w.Flush())
}

// summed writes and sums up until something fails.
type summed struct {
	w   *bufio.Writer
	sum hash.Hash
	err error
}

func (s *summed) put(b []byte) {
	s.sum.Write(b)
	if s.err == nil {
		_, s.err = s.w.Write(b)
	}
}

// value is where a parameter's numbers lie; nil if they do not.
func (s *shared) value(d nn.Decl) []float32 {
	at, ok := s.layout.at[d.Name]
	if !ok {
		return nil
	}
	return endian.Numbers[float32](s.memory[at : at+4*d.Size()])
}
