package corpus

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// csvRecords reads comma-separated values, as RFC 4180 has them.
type csvRecords struct {
	table
	r     *csv.Reader
	limit *limited
	last  int // the line on which the record read last ends
}

func newCSV(name string, in *bufio.Reader, columns []string) (*csvRecords, error) {
	limit := &limited{r: in}
	c := &csvRecords{r: csv.NewReader(limit), limit: limit}
	c.r.FieldsPerRecord = -1 // told apart here: a record of another length is bad alone
	c.r.ReuseRecord = true
	c.name = name
	header := columns
	if len(columns) == 0 {
		cells, from, err := c.cells()
		if err != nil {
			return nil, headerError(name, err)
		}
		if len(cells) == 1 && strings.ContainsAny(cells[0], ";\t|") {
			return nil, fmt.Errorf("%s: one column, named %q: want commas between columns, or ds_type: tsv where they are tabs", from, cells[0])
		}
		header = append([]string(nil), cells...)
	}
	var err error
	c.table, err = newTable(name, header)
	return c, err
}

func (c *csvRecords) next() (row, error) {
	cells, from, err := c.cells()
	if err != nil {
		return row{}, err
	}
	return c.row(from, cells)
}

// cells returns the next record's cells, good until the next call.
func (c *csvRecords) cells() (cells []string, from string, err error) {
	c.limit.n = 0
	cells, err = c.r.Read()
	switch {
	case err == errTooLong:
		return nil, "", fmt.Errorf("%s:%d: a record that begins after this line has more than %d MiB, the most that is read", c.name, c.last, maxRecord>>20)
	case err != nil:
		return nil, "", c.explain(err)
	}
	line, _ := c.r.FieldPos(0)
	c.last, _ = c.r.FieldPos(len(cells) - 1)
	from = fmt.Sprintf("%s:%d", c.name, line)
	for i, cell := range cells {
		if !utf8.ValidString(cell) {
			at, _ := c.r.FieldPos(i)
			return nil, "", bad(from, "not UTF-8, in the cell of column %d, which begins on line %d: want UTF-8", i+1, at)
		}
	}
	return cells, from, nil
}

// explain says where a file is not CSV. Nothing after that can be trusted: a
// quote out of place may have swallowed, or cut, what follows.
func (c *csvRecords) explain(err error) error {
	var p *csv.ParseError
	switch {
	case !errors.As(err, &p):
		return err
	case errors.Is(err, csv.ErrQuote) && p.StartLine != p.Line:
		return fmt.Errorf("%s:%d: a quote that is opened in the record from line %d on is not closed as it should be, at column %d", c.name, p.Line, p.StartLine, p.Column)
	}
	return fmt.Errorf("%s:%d: a stray quote at column %d: want a cell with quotes in quotes, and those within it doubled; or ds_type: tsv where cells have none", c.name, p.Line, p.Column)
}

// errTooLong is the error of a record that exceeds maxRecord.
var errTooLong = errors.New("record too long")

// limited ends a reading with errTooLong when more than maxRecord bytes have
// been read since n was last 0.
type limited struct {
	r io.Reader
	n int
}

func (l *limited) Read(p []byte) (int, error) {
	if l.n > maxRecord {
		return 0, errTooLong
	}
	n, err := l.r.Read(p)
	l.n += n
	return n, err
}
