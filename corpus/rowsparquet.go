package corpus

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/parquet-go/parquet-go"
)

// maxUnpacked is the most bytes of a packed Parquet file, unpacked: its index is
// at its end, so that it is held in memory.
const maxUnpacked = 1 << 30

// parquetRecords reads a Parquet file, one row group after the other.
type parquetRecords struct {
	name   string
	root   *node
	groups []parquet.RowGroup // not begun
	rows   parquet.Rows       // of the group begun, nil if none
	batch  []parquet.Row      // read, and not yet returned
	buffer []parquet.Row
	left   int64 // rows of the group that are yet to be read
	n      int   // rows returned
}

// openParquet reads in as a Parquet file, which is packed if its name says so.
func openParquet(name string, in io.Reader) (p *parquetRecords, err error) {
	at, size, err := randomAccess(name, in)
	if err != nil {
		return nil, err
	}
	if err := wholeParquet(name, at, size); err != nil {
		return nil, err
	}
	defer recovered(name, &err)
	f, err := parquet.OpenFile(at, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, fmt.Errorf("%s: broken Parquet: %w", name, err)
	}
	root, err := newNode(f.Root())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &parquetRecords{name: name, root: root, groups: f.RowGroups(), buffer: make([]parquet.Row, 64)}, nil
}

// randomAccess returns a file's bytes by their place: the file itself, or, where
// it is packed or a pipe, a copy in memory.
func randomAccess(name string, in io.Reader) (io.ReaderAt, int64, error) {
	type file interface {
		io.ReaderAt
		Stat() (fs.FileInfo, error)
	}
	if _, packing := unpackedName(name); packing == "" {
		if f, ok := in.(file); ok {
			if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
				return f, info.Size(), nil
			}
		}
	}
	r, err := unpack(name, in)
	if err != nil {
		return nil, 0, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxUnpacked+1))
	if err != nil {
		return nil, 0, err
	}
	if len(data) > maxUnpacked {
		return nil, 0, fmt.Errorf("%s: more than %d MiB unpacked, and Parquet cannot be read while it is unpacked: unpack it first (Parquet is compressed within)", name, maxUnpacked>>20)
	}
	return bytes.NewReader(data), int64(len(data)), nil
}

// wholeParquet makes sure that a file has both of its ends.
func wholeParquet(name string, in io.ReaderAt, size int64) error {
	var start, end [8]byte
	if size == 0 {
		return fmt.Errorf("%s: empty: no examples in it", name)
	}
	if _, err := in.ReadAt(start[:4], 0); err != nil && err != io.EOF {
		return err
	}
	if string(start[:4]) == "PARE" {
		return fmt.Errorf("%s: an encrypted Parquet file, which is not read", name)
	}
	if string(start[:4]) != "PAR1" {
		return fmt.Errorf("%s: no Parquet file: it begins with % x, want PAR1", name, start[:4])
	}
	if _, err := in.ReadAt(end[:], max(size-8, 0)); err != nil && err != io.EOF {
		return err
	}
	index := int64(end[0]) | int64(end[1])<<8 | int64(end[2])<<16 | int64(end[3])<<24
	if size < 12 || string(end[4:]) != "PAR1" || index > size-12 {
		return fmt.Errorf("%s: cut short: a Parquet file ends with its index and PAR1, this one after %d bytes without them", name, size)
	}
	return nil
}

// recovered turns a panic of the Parquet library, which broken files can cause,
// into an error.
func recovered(name string, err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%s: broken Parquet: %v", name, p)
	}
}

func (p *parquetRecords) next() (r row, err error) {
	defer recovered(p.name, &err)
	for len(p.batch) == 0 {
		if err := p.read(); err != nil {
			return row{}, err
		}
	}
	values := p.batch[0]
	p.batch = p.batch[1:]
	p.n++
	from := fmt.Sprintf("%s, row %d", p.name, p.n)
	fields, err := p.root.record(values)
	var spoilt *badValue
	switch {
	case errors.As(err, &spoilt):
		return row{}, &badRow{from, err}
	case err != nil:
		return row{}, fmt.Errorf("%s: %w", from, err)
	}
	return row{fields: fields, from: from}, nil
}

// read reads the next rows, of the next group where one is at its end.
func (p *parquetRecords) read() error {
	if p.rows == nil {
		if len(p.groups) == 0 {
			return io.EOF
		}
		p.rows, p.left = p.groups[0].Rows(), p.groups[0].NumRows()
		p.groups = p.groups[1:]
	}
	n, err := p.rows.ReadRows(p.buffer)
	p.batch, p.left = p.buffer[:n], p.left-int64(n)
	switch {
	case err != nil && err != io.EOF:
		return fmt.Errorf("%s: broken Parquet after row %d: %w", p.name, p.n+n, err)
	case err == nil && n > 0:
		return nil
	case p.left != 0:
		return fmt.Errorf("%s: broken Parquet: a group of rows ends after row %d, with %d more announced", p.name, p.n+n, p.left)
	}
	err = p.rows.Close()
	p.rows = nil
	return err
}
