package feature

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/edsrzf/mmap-go"
)

// Key names the vectors of a data set by what they follow from.
type Key [sha256.Size]byte

// String returns the key in hexadecimal.
func (k Key) String() string { return hexOf(k) }

// version of how vectors are computed and kept; another one never reads them.
const version = 1

// KeyOf returns the name of what a base model makes of a shard on a kind of
// backend.
func KeyOf(base, data [sha256.Size]byte, pooling, backend string) Key {
	return sha256.Sum256(fmt.Appendf(nil, "carillon features %d\nbase %x\ndata %x\npooling %s\nbackend %s\n", version, base, data, pooling, backend))
}

// The file has a header (magic, version and width as uint32, rows as uint64, key)
// and blocks of a number of vectors, float32, the last of them as long as it must be;
// after each block is the SHA-256 of key, number of the block and vectors. All
// numbers are little-endian.
const (
	magic     = "carillonfeatures"
	headerLen = 64
)

// Cache is a file of vectors, mapped into memory.
type Cache struct {
	layout
	data  []byte
	unmap func() error
}

// layout is where things are in a file.
type layout struct {
	key         Key
	rows, width int
	block       int // vectors in a block; the key is of what this follows from
}

// textsInBlock are the vectors of texts in a block.
const textsInBlock = 512

func (l layout) header() []byte {
	h := append(make([]byte, 0, headerLen), magic...)
	h = binary.LittleEndian.AppendUint32(h, version)
	h = binary.LittleEndian.AppendUint32(h, uint32(l.width))
	h = binary.LittleEndian.AppendUint64(h, uint64(l.rows))
	return append(h, l.key[:]...)
}

func (l layout) blocks() int   { return (l.rows + l.block - 1) / l.block }
func (l layout) at(b int) int  { return headerLen + b*(l.block*l.width*4+sha256.Size) }
func (l layout) end(b int) int { return min((b+1)*l.block, l.rows) }
func (l layout) size() int64   { return int64(headerLen + 4*l.rows*l.width + l.blocks()*sha256.Size) }

// vectors is the length of a block's vectors in bytes.
func (l layout) vectors(b int) int { return (l.end(b) - b*l.block) * l.width * 4 }

// sum is the hash of a block.
func (l layout) sum(b int, vectors []byte) []byte {
	h := sha256.New()
	h.Write(l.key[:])
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(b)))
	h.Write(vectors)
	return h.Sum(nil)
}

// sound says whether block b of a file's bytes is what its hash says.
func (l layout) sound(b int, data []byte) bool {
	from := l.at(b)
	vectors := data[from:][:l.vectors(b)]
	return bytes.Equal(l.sum(b, vectors), data[from+len(vectors):][:sha256.Size])
}

// A file is under construction, under a name that ends in .part, until no block is
// missing.
func (l layout) path(dir string) (path, part string) {
	path = filepath.Join(dir, l.key.String()[:32]+".features")
	return path, path + ".part"
}

// compute returns the vectors of rows [from, to).
type compute func(from, to int) ([]float32, error)

// open maps the vectors in dir, whole or under construction.
func (l layout) open(dir string) (*Cache, error) {
	path, part := l.path(dir)
	c, err := mapped(path, l)
	if err != nil {
		c, err = mapped(part, l)
	}
	return c, err
}

// whole maps the vectors in dir if none is missing of the rows from first on; else it
// returns nil.
func (l layout) whole(dir string, first int) *Cache {
	path, _ := l.path(dir)
	c, err := mapped(path, l)
	if err == nil && c.missing(first) != nil {
		err = cmp.Or(c.Close(), errIncomplete)
	}
	if err != nil {
		return nil
	}
	return c
}

var errIncomplete = errors.New("vectors are missing")

// missing is how many vectors of the rows from first on are in no file in dir.
func (l layout) missing(dir string, first int) (n int) {
	blocks := []int{}
	if c, err := l.open(dir); err == nil {
		blocks = c.missing(first)
		c.unmap()
	} else {
		for b := first / l.block; b < l.blocks(); b++ {
			blocks = append(blocks, b)
		}
	}
	for _, b := range blocks {
		n += l.end(b) - b*l.block
	}
	return n
}

// fill opens the vectors in dir, and computes those of the rows from first on that
// are not there, or damaged. What is computed is in the file at once. Processes that
// fill one file at once write the same.
func (l layout) fill(dir string, first int, fn compute) (*Cache, error) {
	path, part := l.path(dir)
	if c := l.whole(dir, first); c != nil {
		return c, nil
	}
	if err := os.Rename(path, part); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("repair vectors: %w", err)
	}
	if _, err := l.add(part, first, func(int) bool { return true }, fn); err != nil {
		return nil, err
	}
	c, err := mapped(part, l)
	if errors.Is(err, fs.ErrNotExist) { // another process found it whole
		return mapped(path, l)
	}
	if err != nil || first >= l.block && c.missing(0) != nil {
		return c, err
	}
	if err = os.Rename(part, path); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return c, err
}

// share computes one of several processes' share of what is missing: every so
// manieth block.
func (l layout) share(dir string, node, nodes int, fn compute) (computed int, err error) {
	path, part := l.path(dir)
	if c, err := mapped(path, l); err == nil {
		return 0, c.Close()
	}
	return l.add(part, 0, func(b int) bool { return b%nodes == node }, fn)
}

// add computes the missing blocks with rows from first on that are mine in the file
// at path.
func (l layout) add(path string, first int, mine func(b int) bool, fn compute) (computed int, err error) {
	if err := l.create(path); err != nil {
		return 0, err
	}
	c, err := mapped(path, l)
	if err != nil {
		return 0, err
	}
	missing := c.missing(first)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err = errors.Join(err, c.Close()); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, f.Sync(), f.Close()) }()
	for _, b := range missing {
		if !mine(b) {
			continue
		}
		vectors, err := fn(b*l.block, l.end(b))
		if err == nil {
			err = l.put(f, b, vectors)
		}
		if err != nil {
			return computed, err
		}
		computed += l.end(b) - b*l.block
	}
	return computed, nil
}

// create makes a file of this layout at path, unless there is one. Of several
// processes that do so one wins, and no file that another has mapped is cut.
func (l layout) create(path string) error {
	c, err := mapped(path, l)
	switch {
	case err == nil:
		return c.Close()
	case errors.Is(err, fs.ErrNotExist):
		err = os.MkdirAll(filepath.Dir(path), 0o755)
	default: // another layout: one appears whole
		err = os.Remove(path)
	}
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".part-*")
	if err != nil {
		return err
	}
	_, err = f.Write(l.header())
	err = errors.Join(err, f.Chmod(0o644), f.Truncate(l.size()), f.Close())
	if err == nil {
		err = os.Link(f.Name(), path)
	}
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	return errors.Join(err, os.Remove(f.Name()))
}

// put writes a block.
func (l layout) put(f *os.File, b int, vectors []float32) error {
	if len(vectors)*4 != l.vectors(b) {
		return fmt.Errorf("%d numbers for block %d; want %d", len(vectors), b, l.vectors(b)/4)
	}
	data := make([]byte, 0, len(vectors)*4+sha256.Size)
	for i, x := range vectors {
		if x-x != 0 {
			return fmt.Errorf("the vector of example %d has %v in place %d; want finite numbers", b*l.block+i/l.width, x, i%l.width)
		}
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(x))
	}
	_, err := f.WriteAt(append(data, l.sum(b, data)...), int64(l.at(b)))
	return err
}

// mapped maps the file at path, which must have this layout.
func mapped(path string, l layout) (*Cache, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return l.mapFile(f)
}

func (l layout) mapFile(f *os.File) (*Cache, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() != l.size() {
		return nil, fmt.Errorf("%s has %d bytes, want %d", f.Name(), info.Size(), l.size())
	}
	m, err := mmap.Map(f, mmap.RDONLY, 0)
	if err != nil {
		return nil, fmt.Errorf("map %s into memory: %w", f.Name(), err)
	}
	if !bytes.Equal(m[:headerLen], l.header()) {
		return nil, errors.Join(fmt.Errorf("%s: its header is another one's", f.Name()), m.Unmap())
	}
	return &Cache{l, m, m.Unmap}, nil
}

// missing lists the blocks with rows from first on that are not whole.
func (c *Cache) missing(first int) (blocks []int) {
	for b := first / c.block; b < c.blocks(); b++ {
		if !c.sound(b, c.data) {
			blocks = append(blocks, b)
		}
	}
	return blocks
}

// Close unmaps the file. Its rows must not be used any more.
func (c *Cache) Close() error { return c.unmap() }
