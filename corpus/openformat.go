package corpus

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// The formats of files, by the words of ds_type.
const (
	formatJSON    = "json"  // an array of objects, or JSON lines
	formatJSONL   = "jsonl" // an object a line
	formatCSV     = "csv"
	formatTSV     = "tsv"
	formatParquet = "parquet"
	formatText    = "text"
)

var formats = []string{formatJSON, formatJSONL, formatCSV, formatTSV, formatParquet, formatText}

// byEnding is the format of files whose names end so. Any other file is text;
// those ending in .txt or .text are so in a folder too.
var byEnding = map[string]string{
	".jsonl":   formatJSONL,
	".ndjson":  formatJSONL,
	".json":    formatJSON,
	".csv":     formatCSV,
	".tsv":     formatTSV,
	".parquet": formatParquet,
	".txt":     formatText,
	".text":    formatText,
}

// notRead are endings of what is surely no text.
var notRead = []string{".zip", ".tar", ".tgz", ".bz2", ".xz", ".7z", ".arrow", ".feather", ".orc", ".avro", ".xls", ".xlsx", ".db", ".pt", ".bin", ".safetensors", ".npy", ".npz", ".pkl", ".pdf"}

// The packings, by the ending of a file's name.
var packings = map[string]string{".gz": "gzip", ".zst": "zstd"}

// unpackedName returns a name without the ending of its packing, and the packing.
func unpackedName(name string) (inner, packing string) {
	ext := filepath.Ext(name)
	packing = packings[strings.ToLower(ext)]
	if packing == "" {
		return name, ""
	}
	return strings.TrimSuffix(name, ext), packing
}

func ending(name string) string {
	inner, _ := unpackedName(name)
	return strings.ToLower(filepath.Ext(inner))
}

func knownEnding(name string) bool { return byEnding[ending(name)] != "" }

// formatOf returns a file's format: ds_type, or what the end of its name says.
func formatOf(name, dsType string) (string, error) {
	if dsType != "" {
		if !slices.Contains(formats, dsType) {
			return "", fmt.Errorf("ds_type %q: want %s", dsType, strings.Join(formats, ", "))
		}
		return dsType, nil
	}
	ext := ending(name)
	if slices.Contains(notRead, ext) {
		return "", fmt.Errorf("%s: %s files are not read: want %s, also .gz or .zst; or say in ds_type what it is", name, ext, strings.Join(endings(""), ", "))
	}
	if format := byEnding[ext]; format != "" {
		return format, nil
	}
	return formatText, nil
}

// endings lists the known endings of a format, or of all, sorted.
func endings(format string) []string {
	var list []string
	for ext, f := range byEnding {
		if wanted(f, format) {
			list = append(list, ext)
		}
	}
	slices.Sort(list)
	return list
}
