package corpus

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// table gives cells the names of their columns.
type table struct {
	name    string
	columns []string
}

// newTable takes the names of the recipe, or else those of a file's first line.
func newTable(name string, columns []string) (table, error) {
	for i, c := range columns {
		if first := slices.Index(columns, c); first < i {
			return table{}, fmt.Errorf("%s:1: columns %d and %d are both named %q: want names that differ", name, first+1, i+1, c)
		}
	}
	return table{name, columns}, nil
}

// row makes a record of one line's cells.
func (t table) row(from string, cells []string) (row, error) {
	if len(cells) != len(t.columns) {
		return row{}, bad(from, "%s, want %d (%s)", plural(len(cells), "cell"), len(t.columns), strings.Join(t.columns, ", "))
	}
	if len(cells) > 1 && slices.Equal(cells, t.columns) {
		return row{}, bad(from, "the names of the columns where a record belongs (columns in the recipe is for files without such a line)")
	}
	fields := make(map[string]any, len(cells))
	for i, c := range cells {
		fields[t.columns[i]] = c
	}
	return row{fields: fields, from: from}, nil
}

// headerError makes an error of a file's first line one that ends the reading.
func headerError(name string, err error) error {
	var spoilt *badRow
	if errors.As(err, &spoilt) {
		return fmt.Errorf("%s: the names of the columns: %w", spoilt.from, spoilt.err)
	}
	return emptyAtEOF(name, err)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
