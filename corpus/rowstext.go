package corpus

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"io"
	"slices"

	"carillon/job"
)

// stretch is the size from which a plain text is cut at the next empty line, so
// that part of one long text can be held out.
const stretch = 16 << 10

// textRows reads a plain text as a run of stretches, which go on one in the
// next: no end of text comes between.
type textRows struct {
	name, field string
	r           *bufio.Reader
	n           int    // stretches read
	line        int    // lines read
	text        []byte // read, and not yet returned
	seen        int    // of text, searched for an empty line
	end         bool
}

func newText(name string, r *bufio.Reader, d job.Dataset) (*textRows, error) {
	switch d.Type {
	case "", TypeText, "completion":
		return &textRows{name: name, field: cmp.Or(d.FieldText, "text"), r: r}, nil
	}
	return nil, fmt.Errorf("%s: plain text, which type %q cannot be: want type completion, or a file in another format (ds_type)", name, d.Type)
}

func (t *textRows) next() (row, error) {
	n, err := t.fill()
	if err != nil {
		return row{}, err
	}
	if n == 0 {
		return row{}, io.EOF
	}
	part := t.text[:n]
	if at := notUTF8(part); at >= 0 {
		return row{}, fmt.Errorf("%s:%d: not UTF-8: want UTF-8", t.name, t.line+1+bytes.Count(part[:at], []byte("\n")))
	}
	t.n++
	t.line += bytes.Count(part, []byte("\n"))
	r := row{fields: map[string]any{t.field: string(part)}, from: fmt.Sprintf("%s, stretch %d", t.name, t.n)}
	t.text, t.seen = append(t.text[:0], t.text[n:]...), 0
	r.continued = len(t.text) > 0 || !t.atEnd()
	return r, nil
}

// fill reads on until the next stretch is whole, and returns its length.
func (t *textRows) fill() (int, error) {
	for {
		if n := t.cut(); n > 0 || t.end {
			return cmp.Or(n, len(t.text)), nil
		}
		if len(t.text) > maxRecord {
			return t.cutLong()
		}
		t.text = slices.Grow(t.text, 64<<10)
		n, err := t.r.Read(t.text[len(t.text):cap(t.text)])
		t.text = t.text[:len(t.text)+n]
		if err != nil && err != io.EOF {
			return 0, err
		}
		t.end = err == io.EOF
	}
}

// cut returns the length of the stretch up to the next empty line, 0 if there is
// none yet.
func (t *textRows) cut() int {
	from := max(stretch, t.seen-1)
	if from >= len(t.text) {
		return 0
	}
	t.seen = len(t.text)
	if at := bytes.Index(t.text[from:], []byte("\n\n")); at >= 0 {
		return from + at + 2
	}
	return 0
}

// cutLong cuts a text without empty lines after its last line.
func (t *textRows) cutLong() (int, error) {
	if n := bytes.LastIndexByte(t.text, '\n') + 1; n > 0 {
		return n, nil
	}
	return 0, fmt.Errorf("%s:%d: a line of more than %d MiB, the most that is read", t.name, t.line+1, maxRecord>>20)
}

func (t *textRows) atEnd() bool {
	_, err := t.r.Peek(1)
	return err == io.EOF
}
