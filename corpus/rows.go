package corpus

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"carillon/job"
)

// maxRecord is the most bytes that one record may have in its file: a line, an
// element, a row. It bounds what a broken file makes a reader remember. Only
// tests change it.
var maxRecord = 256 << 20

// row is one record as its file has it.
type row struct {
	fields    map[string]any // nil, bool, json.Number, string, []any, map[string]any; cells are strings; []byte: Parquet's bytes that are no text
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

// records reads one file. next returns io.EOF after the last record, a *badRow
// for one that is spoilt alone, and any other error where nothing more can be
// read.
type records interface {
	next() (row, error)
}

// rows yields the records of a data set's files, in order. An error that is not
// a *badRow is the last.
func rows(ctx context.Context, d job.Dataset) iter.Seq2[row, error] {
	return func(yield func(row, error) bool) {
		files, err := filesOf(d)
		if err != nil {
			yield(row{}, err)
			return
		}
		for _, f := range files {
			if !fileRows(ctx, f, d, yield) {
				return
			}
		}
	}
}

// fileRows yields one file's records and reports whether to go on to the next
// file.
func fileRows(ctx context.Context, f dataFile, d job.Dataset, yield func(row, error) bool) bool {
	stop := func(err error) bool {
		yield(row{}, err)
		return false
	}
	in, err := f.open()
	if err != nil {
		return stop(err)
	}
	defer in.Close()
	all, closer, err := recordsOf(f.name, in, d)
	if err != nil {
		return stop(err)
	}
	defer closer.Close()
	for {
		if err := ctx.Err(); err != nil {
			return stop(err)
		}
		r, err := all.next()
		var spoilt *badRow
		switch {
		case err == io.EOF:
			return true
		case err != nil && !errors.As(err, &spoilt):
			return stop(err)
		case !yield(r, err):
			return false
		}
	}
}

// recordsOf returns the reader of a file's format. Closing frees what unpacking
// needs, not in.
func recordsOf(name string, in io.Reader, d job.Dataset) (records, io.Closer, error) {
	format, err := formatOf(name, d.DsType)
	if err != nil {
		return nil, nil, err
	}
	if len(d.Columns) > 0 && format != formatCSV && format != formatTSV {
		return nil, nil, fmt.Errorf("%s: columns: the file is read as %s, which has names of its own; only those of csv and tsv are given so", name, format)
	}
	if format == formatParquet {
		all, err := openParquet(name, in)
		return all, io.NopCloser(nil), err
	}
	unpacked, err := unpack(name, in)
	if err != nil {
		return nil, nil, err
	}
	r := bufio.NewReaderSize(unpacked, 1<<16)
	all, err := textRecords(format, name, r, d)
	if err != nil {
		return nil, nil, errors.Join(err, unpacked.Close())
	}
	return all, unpacked, nil
}

// textRecords returns the reader of a format that is text.
func textRecords(format, name string, r *bufio.Reader, d job.Dataset) (records, error) {
	if err := skipMark(name, r); err != nil {
		return nil, err
	}
	switch format {
	case formatJSONL:
		return newJSONLines(name, r), nil
	case formatJSON:
		return newJSON(name, r)
	case formatCSV:
		return newCSV(name, r, d.Columns)
	case formatTSV:
		return newTSV(name, r, d.Columns)
	}
	return newText(name, r, d)
}

// skipMark skips the byte order mark of UTF-8. Nothing, and what is no UTF-8 by
// its first bytes, is an error.
func skipMark(name string, r *bufio.Reader) error {
	start, err := r.Peek(3)
	switch {
	case len(start) == 0 && err == io.EOF:
		return fmt.Errorf("%s: empty: no examples in it", name)
	case err != nil && err != io.EOF:
		return err
	case bytes.HasPrefix(start, []byte{0xFF, 0xFE}), bytes.HasPrefix(start, []byte{0xFE, 0xFF}):
		return fmt.Errorf("%s:1: UTF-16: want UTF-8", name)
	case len(start) >= 2 && (start[0] == 0 || start[1] == 0):
		return fmt.Errorf("%s:1: a zero byte: UTF-16, or no text: want UTF-8", name)
	case startsWith(r, "PAR1\x15"):
		return fmt.Errorf("%s:1: a Parquet file: want a name that ends in .parquet, or ds_type: parquet", name)
	case string(start) == "\xEF\xBB\xBF":
		_, err := r.Discard(3)
		return err
	}
	return nil
}

func startsWith(r *bufio.Reader, text string) bool {
	start, _ := r.Peek(len(text))
	return string(start) == text
}
