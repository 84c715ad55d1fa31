package corpus

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"unicode/utf8"
)

// lines reads a text line by line.
type lines struct {
	name string
	r    *bufio.Reader
	n    int    // of the line read last, from 1
	long []byte // a line that does not fit into the buffer of r
}

// from names the line read last.
func (l *lines) from() string { return fmt.Sprintf("%s:%d", l.name, l.n) }

// next returns the next line without its end, \n or \r\n; it is good until the
// next call. A line that is too long, or is not UTF-8, is a *badRow and passed
// over.
func (l *lines) next() ([]byte, error) {
	line, err := l.read()
	if err != nil {
		return nil, err
	}
	line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
	if len(line) > maxRecord {
		return nil, bad(l.from(), "a line of more than %d MiB, the most that is read", maxRecord>>20)
	}
	if at := notUTF8(line); at >= 0 {
		return nil, bad(l.from(), "not UTF-8, from byte %d of the line on: want UTF-8", at+1)
	}
	return line, nil
}

// read returns the next line with its end, a little more than maxRecord bytes of
// it at most.
func (l *lines) read() ([]byte, error) {
	part, err := l.r.ReadSlice('\n')
	if err == io.EOF && len(part) == 0 {
		return nil, io.EOF
	}
	l.n++
	if err != bufio.ErrBufferFull {
		return part, notEOF(err)
	}
	l.long = append(l.long[:0], part...)
	for err == bufio.ErrBufferFull {
		part, err = l.r.ReadSlice('\n')
		if len(l.long) <= maxRecord+2 {
			l.long = append(l.long, part...)
		}
	}
	return l.long, notEOF(err)
}

func notEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// notUTF8 returns where a text stops being UTF-8, -1 if nowhere.
func notUTF8(text []byte) int {
	if utf8.Valid(text) {
		return -1
	}
	at := 0
	for {
		r, n := utf8.DecodeRune(text[at:])
		if r == utf8.RuneError && n <= 1 {
			return at
		}
		at += n
	}
}
