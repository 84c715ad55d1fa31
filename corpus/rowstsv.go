package corpus

import (
	"bufio"
	"strings"
)

// tsvRecords reads tab-separated values as IANA registers them: a tab always
// ends a cell, a line end a record, and quotes are text.
type tsvRecords struct {
	table
	lines lines
}

func newTSV(name string, r *bufio.Reader, columns []string) (*tsvRecords, error) {
	t := &tsvRecords{lines: lines{name: name, r: r}}
	if len(columns) == 0 {
		cells, err := t.cells()
		if err != nil {
			return nil, headerError(name, err)
		}
		columns = cells
	}
	var err error
	t.table, err = newTable(name, columns)
	return t, err
}

func (t *tsvRecords) next() (row, error) {
	cells, err := t.cells()
	if err != nil {
		return row{}, err
	}
	return t.row(t.lines.from(), cells)
}

// cells returns the cells of the next line that is not empty.
func (t *tsvRecords) cells() ([]string, error) {
	for {
		line, err := t.lines.next()
		if err != nil {
			return nil, err
		}
		if len(line) > 0 {
			return strings.Split(string(line), "\t"), nil
		}
	}
}
