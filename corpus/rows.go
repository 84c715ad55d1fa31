package corpus

// row is one record as its file has it.
type row struct {
	fields    map[string]any // nil, bool, json.Number, string, []any or map[string]any; cells of CSV are strings
	from      string         // file and line, element or row: "data.jsonl:48213", "data.parquet, row 7"
	continued bool           // plain text: the next one goes on where this one stops
}

// badRow is an error that spoils one record and no other: who reads may skip it.
type badRow struct {
	from string // as in row
	err  error
}

func (b *badRow) Error() string { return b.from + ": " + b.err.Error() }
func (b *badRow) Unwrap() error { return b.err }
