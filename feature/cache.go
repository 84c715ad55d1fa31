package feature

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/edsrzf/mmap-go"

	"carillon/linear"
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
// and blocks of blockRows vectors, float32, the last of them as long as it must be;
// after each block is the SHA-256 of key, number of the block and vectors. All
// numbers are little-endian.
const (
	magic     = "carillonfeatures"
	headerLen = 64
	blockRows = 512
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
}

func (l layout) header() []byte {
	h := append(make([]byte, 0, headerLen), magic...)
	h = binary.LittleEndian.AppendUint32(h, version)
	h = binary.LittleEndian.AppendUint32(h, uint32(l.width))
	h = binary.LittleEndian.AppendUint64(h, uint64(l.rows))
	return append(h, l.key[:]...)
}

func (l layout) blocks() int   { return (l.rows + blockRows - 1) / blockRows }
func (l layout) at(b int) int  { return headerLen + b*(blockRows*l.width*4+sha256.Size) }
func (l layout) end(b int) int { return min((b+1)*blockRows, l.rows) }
func (l layout) size() int64   { return int64(headerLen + 4*l.rows*l.width + l.blocks()*sha256.Size) }

// vectors is the length of a block's vectors in bytes.
func (l layout) vectors(b int) int { return (l.end(b) - b*blockRows) * l.width * 4 }

// sum is the hash of a block.
func (l layout) sum(b int, vectors []byte) []byte {
	h := sha256.New()
	h.Write(l.key[:])
	h.Write(binary.LittleEndian.AppendUint64(nil, uint64(b)))
	h.Write(vectors)
	return h.Sum(nil)
}

// whole says whether block b of a file's bytes is what its hash says.
func (l layout) whole(b int, data []byte) bool {
	from := l.at(b)
	vectors := data[from:][:l.vectors(b)]
	return bytes.Equal(l.sum(b, vectors), data[from+len(vectors):][:sha256.Size])
}

// Fill opens the vectors of key in dir, and computes those of its rows from first
// on that are not there, or damaged: compute returns the vectors of rows [from, to).
// What is computed is in the file at once, under a name that ends in .part until
// nothing is missing. Processes that fill one file at once write the same.
func Fill(dir string, key Key, rows, width, first int, compute func(from, to int) ([]float32, error)) (c *Cache, computed int, err error) {
	l := layout{key, rows, width}
	path := filepath.Join(dir, key.String()[:32]+".features")
	if c, err := mapped(path, l); err == nil && c.missing(first) == nil {
		return c, 0, nil
	} else if err == nil {
		err = errors.Join(c.Close(), os.Rename(path, path+".part"))
		if err != nil {
			return nil, 0, fmt.Errorf("repair vectors: %w", err)
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, 0, err
	}
	computed, whole, err := l.fill(path+".part", first, compute)
	if err != nil {
		return nil, computed, err
	}
	if !whole {
		path += ".part"
	} else if err := os.Rename(path+".part", path); err != nil && !errors.Is(err, fs.ErrNotExist) { // another process did it
		return nil, computed, err
	}
	c, err = mapped(path, l)
	return c, computed, err
}

// fill computes what is missing from row first on in the file at path.
func (l layout) fill(path string, first int, compute func(from, to int) ([]float32, error)) (computed int, whole bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return 0, false, err
	}
	defer func() { err = errors.Join(err, f.Sync(), f.Close()) }()
	if err := l.begin(f); err != nil {
		return 0, false, err
	}
	c, err := l.mapFile(f)
	if err != nil {
		return 0, false, err
	}
	missing := c.missing(first)
	skipped := c.missing(0)
	if err := c.Close(); err != nil {
		return 0, false, err
	}
	for _, b := range missing {
		vectors, err := compute(b*blockRows, l.end(b))
		if err != nil {
			return computed, false, err
		}
		if err := l.put(f, b, vectors); err != nil {
			return computed, false, err
		}
		computed += l.end(b) - b*blockRows
	}
	return computed, len(skipped) == len(missing), nil
}

// begin makes f a file of this layout, unless it is one.
func (l layout) begin(f *os.File) error {
	header := make([]byte, headerLen)
	if n, _ := f.ReadAt(header, 0); n < headerLen || !bytes.Equal(header, l.header()) {
		if err := f.Truncate(0); err != nil {
			return err
		}
		if _, err := f.WriteAt(l.header(), 0); err != nil {
			return err
		}
	}
	return f.Truncate(l.size())
}

// put writes a block.
func (l layout) put(f *os.File, b int, vectors []float32) error {
	if len(vectors)*4 != l.vectors(b) {
		return fmt.Errorf("%d numbers for block %d; want %d", len(vectors), b, l.vectors(b)/4)
	}
	data := make([]byte, 0, len(vectors)*4+sha256.Size)
	for i, x := range vectors {
		if x-x != 0 {
			return fmt.Errorf("the vector of example %d has %v in place %d; want finite numbers", b*blockRows+i/l.width, x, i%l.width)
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
	for b := first / blockRows; b < c.blocks(); b++ {
		if !c.whole(b, c.data) {
			blocks = append(blocks, b)
		}
	}
	return blocks
}

// Close unmaps the file. Its rows must not be used any more.
func (c *Cache) Close() error { return c.unmap() }

// Rows are some of a cache's rows.
type Rows struct {
	cache    *Cache
	from, to int
}

var _ linear.Rows = Rows{}

// Rows returns rows [from, to).
func (c *Cache) Rows(from, to int) Rows { return Rows{c, from, to} }

// Len returns the number of rows.
func (r Rows) Len() int { return r.to - r.from }

// Width returns the length of a row.
func (r Rows) Width() int { return r.cache.width }

// bytes is row i in the file.
func (r Rows) bytes(i int) []byte {
	l, row := r.cache.layout, r.from+i
	return r.cache.data[l.at(row/blockRows)+row%blockRows*l.width*4:][:l.width*4]
}

// Row fills dst with row i.
func (r Rows) Row(i int, dst []float64) {
	data := r.bytes(i)
	for j := range dst {
		dst[j] = number(data[4*j:])
	}
}

// Dot returns the product of row i and w: four sums at once, then their sum.
func (r Rows) Dot(i int, w []float64) float64 {
	data := r.bytes(i)
	var s [4]float64
	j := 0
	for ; j+4 <= len(w); j += 4 {
		d, v := data[4*j:4*j+16], w[j:j+4]
		s[0] += v[0] * number(d)
		s[1] += v[1] * number(d[4:])
		s[2] += v[2] * number(d[8:])
		s[3] += v[3] * number(d[12:])
	}
	for ; j < len(w); j++ {
		s[0] += w[j] * number(data[4*j:])
	}
	return s[0] + s[1] + (s[2] + s[3])
}

// Add adds x times row i to w.
func (r Rows) Add(i int, x float64, w []float64) {
	data := r.bytes(i)
	for j := range w {
		w[j] += x * number(data[4*j:])
	}
}

// number is the first of some bytes.
func number(data []byte) float64 {
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(data)))
}
