package corpus

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxWindow is what a zstd file may make a reader remember: what the zstd
// program itself allows without being asked.
const maxWindow = 128 << 20

// The bytes that packed files begin with.
var magics = []struct {
	packing string
	magic   []byte
}{
	{"gzip", []byte{0x1F, 0x8B}},
	{"zstd", []byte{0x28, 0xB5, 0x2F, 0xFD}},
}

// unpack returns a file's bytes as they were before they were packed. The name's
// ending says how they are packed, and the bytes must agree.
func unpack(name string, in io.Reader) (io.ReadCloser, error) {
	r := bufio.NewReaderSize(in, 1<<16)
	start, err := r.Peek(4)
	if err != nil && err != io.EOF {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	_, packing := unpackedName(name)
	found := ""
	for _, m := range magics {
		if bytes.HasPrefix(start, m.magic) {
			found = m.packing
		}
	}
	switch {
	case packing == "" && found == "":
		return io.NopCloser(r), nil
	case packing == "":
		return nil, fmt.Errorf("%s: is packed with %s: want a name that says so, %s", name, found, name+endingOf(found))
	case len(start) == 0:
		return nil, fmt.Errorf("%s: empty, not even packed with %s", name, packing)
	case packing != found:
		return nil, fmt.Errorf("%s: is not packed with %s, as its name says: it begins with % x", name, packing, start)
	}
	return newUnpacker(name, packing, r)
}

func endingOf(packing string) string {
	for ext, p := range packings {
		if p == packing {
			return ext
		}
	}
	return ""
}

// unpacker gives the errors of a library the name of the file.
type unpacker struct {
	name, packing string
	r             io.ReadCloser
}

func newUnpacker(name, packing string, in io.Reader) (io.ReadCloser, error) {
	u := &unpacker{name: name, packing: packing}
	var err error
	if packing == "gzip" {
		u.r, err = gzip.NewReader(in)
	} else {
		var z *zstd.Decoder
		z, err = zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err == nil {
			u.r = z.IOReadCloser()
		}
	}
	if err != nil {
		return nil, u.explain(err)
	}
	return u, nil
}

func (u *unpacker) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	return n, u.explain(err)
}

func (u *unpacker) Close() error { return u.r.Close() }

func (u *unpacker) explain(err error) error {
	switch {
	case err == nil || err == io.EOF:
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%s: cut short: the %s data stops in the middle (%w)", u.name, u.packing, err)
	case errors.Is(err, zstd.ErrWindowSizeExceeded):
		return fmt.Errorf("%s: packed with a window of more than %d MiB: pack it without --long or --ultra", u.name, maxWindow>>20)
	}
	return fmt.Errorf("%s: broken %s data: %w", u.name, u.packing, err)
}
