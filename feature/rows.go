package feature

import (
	"encoding/binary"
	"math"

	"carillon/endian"
	"carillon/linear"
)

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
	return r.cache.data[l.at(row/l.block)+row%l.block*l.width*4:][:l.width*4]
}

// Row fills dst with row i.
func (r Rows) Row(i int, dst []float64) {
	data := r.bytes(i)
	for j := range dst {
		dst[j] = first(data[4*j:])
	}
}

// Dot returns the product of row i and w: four sums at once, then their sum.
func (r Rows) Dot(i int, w []float64) float64 {
	data := r.bytes(i)
	var s [4]float64
	j := 0
	for ; j+4 <= len(w); j += 4 {
		d, v := data[4*j:4*j+16], w[j:j+4]
		s[0] += v[0] * first(d)
		s[1] += v[1] * first(d[4:])
		s[2] += v[2] * first(d[8:])
		s[3] += v[3] * first(d[12:])
	}
	for ; j < len(w); j++ {
		s[0] += w[j] * first(data[4*j:])
	}
	return s[0] + s[1] + (s[2] + s[3])
}

// Add adds x times row i to w.
func (r Rows) Add(i int, x float64, w []float64) {
	data := r.bytes(i)
	for j := range w {
		w[j] += x * first(data[4*j:])
	}
}

// copy fills dst with row i.
func (r Rows) copy(i int, dst []float32) {
	endian.Get(dst, r.bytes(i))
}

// first is the first number of some bytes.
func first(data []byte) float64 {
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(data)))
}
