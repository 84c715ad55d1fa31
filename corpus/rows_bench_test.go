package corpus

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

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
			format := ending(name)
			if format == ".txt" {
				format = ".tsv"
			}
			data := inFormat(b, format, records)
			path := filepath.Join(b.TempDir(), name)
			if err := os.WriteFile(path, packed(b, name, data), 0o644); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(data)))
			if format == ".parquet" { // which packs within
				b.SetBytes(int64(len(records) * 400))
			}
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
