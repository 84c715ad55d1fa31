package corpus

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"carillon/job"
)

// BenchmarkRead says how many MB of a file, unpacked, become records in a second.
func BenchmarkRead(b *testing.B) {
	var records []record
	for size := 0; size < 8<<20; size += 400 {
		records = append(records, record{strings.Repeat("some words, as they come ", 16), "label"})
	}
	for _, name := range []string{"x.jsonl", "x.jsonl.gz", "x.jsonl.zst", "x.json", "x.csv", "x.tsv", "x.parquet", "x.txt"} {
		b.Run(name, func(b *testing.B) {
			data := benchFile(b, ending(name), records)
			path := filepath.Join(b.TempDir(), name)
			if err := os.WriteFile(path, packed(b, name, data), 0o644); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				for _, err := range rows(b.Context(), job.Dataset{Path: path}) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}

// benchFile writes records in the format of an ending; Parquet as plainly and in
// groups as large as others are.
func benchFile(b *testing.B, ending string, records []record) []byte {
	switch ending {
	case ".txt":
		return inFormat(b, ".tsv", records)
	case ".parquet":
		var data bytes.Buffer
		if err := parquet.Write(&data, records); err != nil {
			b.Fatal(err)
		}
		return data.Bytes()
	}
	return inFormat(b, ending, records)
}
