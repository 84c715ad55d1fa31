package corpus

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
)

// array reads the objects of one JSON array. It cuts the array into its elements
// by strings and brackets alone, so that one element at a time is in memory and
// an error has a line.
type array struct {
	name  string
	r     *bufio.Reader // after the first bracket
	n     int           // elements begun
	line  int           // of the byte read last, from 1
	began int           // line on which the element begins
	text  []byte        // of the element, a byte more than maxRecord at most
	done  bool
}

// from names the element read last.
func (a *array) from() string {
	return fmt.Sprintf("%s, element %d (line %d)", a.name, a.n, a.began)
}

func (a *array) next() (row, error) {
	if a.done {
		return row{}, io.EOF
	}
	first, err := a.begin()
	if err != nil {
		return row{}, err
	}
	if first == ']' {
		a.done = true
		return row{}, a.end()
	}
	a.n++
	a.began = a.line
	if err := a.element(); err != nil {
		return row{}, err
	}
	return a.parse()
}

// begin returns the first byte of the next element, or the array's end.
func (a *array) begin() (byte, error) {
	b, err := a.skipSpace()
	if err != nil || a.n == 0 || b == ']' {
		return b, a.cut(err)
	}
	if b != ',' {
		return 0, fmt.Errorf("%s:%d: broken JSON: %q after element %d: want a comma or the end of the array", a.name, a.line, b, a.n)
	}
	b, err = a.skipSpace()
	if err == nil && (b == ']' || b == ',') {
		return 0, fmt.Errorf("%s:%d: broken JSON: %q after a comma: want an object", a.name, a.line, b)
	}
	return b, a.cut(err)
}

// end makes sure that nothing comes after the array.
func (a *array) end() error {
	b, err := a.skipSpace()
	if err == nil {
		return fmt.Errorf("%s:%d: %q after the end of the array", a.name, a.line, b)
	}
	return err
}

// cut explains the end of a file within its array.
func (a *array) cut(err error) error {
	if err == io.EOF {
		return fmt.Errorf("%s:%d: cut short: the file ends within its array, after element %d", a.name, a.line, a.n)
	}
	return err
}

// cutWithin explains the end of a file within an element.
func (a *array) cutWithin(err error) error {
	if err == io.EOF {
		return fmt.Errorf("%s:%d: cut short: the file ends within element %d, which begins on line %d", a.name, a.line, a.n, a.began)
	}
	return err
}

func (a *array) skipSpace() (byte, error) {
	for {
		b, err := a.byte()
		if err != nil || b != ' ' && b != '\n' && b != '\t' && b != '\r' {
			return b, err
		}
	}
}

func (a *array) byte() (byte, error) {
	b, err := a.r.ReadByte()
	if b == '\n' && err == nil {
		a.line++
	}
	return b, err
}

// element reads one element into text; its first byte has been read.
func (a *array) element() error {
	if err := a.r.UnreadByte(); err != nil {
		return err
	}
	a.text = a.text[:0]
	for s := (scan{}); ; {
		if _, err := a.r.Peek(1); err != nil {
			return a.cutWithin(err)
		}
		chunk, _ := a.r.Peek(a.r.Buffered())
		n, ended := s.end(chunk)
		if len(a.text) <= maxRecord {
			a.text = append(a.text, chunk[:n]...)
		}
		a.line += bytes.Count(chunk[:n], []byte("\n"))
		if _, err := a.r.Discard(n); err != nil || ended {
			return err
		}
	}
}

// scan looks for the end of an element, which may come in several chunks.
type scan struct {
	depth           int // of brackets
	quoted, escaped bool
}

// end returns how much of chunk belongs to the element, and whether that is its
// end: the bracket that closes it, the quote that ends it, or what cannot be
// part of a number or a word.
func (s *scan) end(chunk []byte) (n int, ended bool) {
	for i, b := range chunk {
		switch {
		case s.escaped:
			s.escaped = false
		case s.quoted && b == '\\':
			s.escaped = true
		case b == '"':
			s.quoted = !s.quoted
			if s.depth == 0 && !s.quoted {
				return i + 1, true
			}
		case s.quoted:
		case b == '{' || b == '[':
			s.depth++
		case s.depth > 0 && (b == '}' || b == ']'):
			if s.depth--; s.depth == 0 {
				return i + 1, true
			}
		case s.depth == 0 && bytes.IndexByte([]byte(" \n\t\r,]}"), b) >= 0:
			return i, true
		}
	}
	return len(chunk), false
}

func (a *array) parse() (row, error) {
	if len(a.text) > maxRecord {
		return row{}, bad(a.from(), "an element of more than %d MiB, the most that is read", maxRecord>>20)
	}
	if at := notUTF8(a.text); at >= 0 {
		return row{}, bad(a.from(), "not UTF-8, on line %d: want UTF-8", a.began+bytes.Count(a.text[:at], []byte("\n")))
	}
	fields, err := object(a.text)
	if err != nil {
		return row{}, bad(a.from(), "%w: want an array of objects", err)
	}
	return row{fields: fields, from: a.from()}, nil
}
