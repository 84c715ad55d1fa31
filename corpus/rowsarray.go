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
	if err := a.element(first); err != nil {
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

// element reads one element into text: to its closing bracket, the quote that
// ends it, or, for a number or a word, to what cannot be part of one.
func (a *array) element(first byte) error {
	a.text = a.text[:0]
	depth, quoted := 0, false
	for b := first; ; {
		a.keep(b)
		switch {
		case quoted && b == '\\':
			escaped, err := a.byte()
			if err != nil {
				return a.cutWithin(err)
			}
			a.keep(escaped)
		case b == '"':
			quoted = !quoted
		case quoted:
		case b == '{' || b == '[':
			depth++
		case b == '}' || b == ']':
			depth--
		}
		if depth <= 0 && !quoted && a.ends(b) {
			return nil
		}
		var err error
		if b, err = a.byte(); err != nil {
			return a.cutWithin(err)
		}
	}
}

// ends says whether an element ends with b, outside of strings and brackets.
func (a *array) ends(b byte) bool {
	if b == '}' || b == ']' || b == '"' {
		return true
	}
	next, err := a.r.Peek(1)
	return err != nil || bytes.IndexByte([]byte(" \n\t\r,]}"), next[0]) >= 0
}

func (a *array) keep(b byte) {
	if len(a.text) <= maxRecord {
		a.text = append(a.text, b)
	}
}

func (a *array) parse() (row, error) {
	if len(a.text) > maxRecord {
		return row{}, bad(a.from(), "an element of more than %d MiB, the most that is read", maxRecord>>20)
	}
	if at := notUTF8(a.text); at >= 0 {
		return row{}, bad(a.from(), "not UTF-8, on line %d", a.began+bytes.Count(a.text[:at], []byte("\n")))
	}
	fields, err := object(a.text)
	if err != nil {
		return row{}, bad(a.from(), "%w: want an array of objects", err)
	}
	return row{fields: fields, from: a.from()}, nil
}
