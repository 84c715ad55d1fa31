package corpus

import (
	"fmt"
)

// row is one record as its file has it.
type row struct {
	fields    map[string]any // nil, bool, json.Number, string, []any, map[string]any; cells are strings
	from      string         // file and line, element or row, for errors: "data.jsonl:48213", "data.parquet, row 7"
	continued bool           // plain text only: the next one goes on where this one stops
}

// badRow is the error of a record that is spoilt alone: the ones after it can be
// read. on_bad_row says whether it ends the reading.
type badRow struct {
	from string // as in row
	err  error
}

// bad returns the error of one record.
func bad(from, format string, args ...any) error {
	return &badRow{from, fmt.Errorf(format, args...)}
}

func (b *badRow) Error() string { return b.from + ": " + b.err.Error() }
func (b *badRow) Unwrap() error { return b.err }
