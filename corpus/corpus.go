package corpus

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"path/filepath"
	"strings"

	"carillon/job"
)

// The paths that name what every Go installation holds.
const (
	GoStd = "go:std" // exported declarations and their first sentences, as pairs
	GoSrc = "go:src" // source files, as text
)

// Progress is told how far a long piece of work is; total may be 0 where it is
// not known. It is called from one goroutine at a time.
type Progress func(what string, done, total int)

// Read reads the data sets in order. A nil progress is never called.
func Read(ctx context.Context, datasets []job.Dataset, progress Progress) ([]Example, Report, error) {
	if progress == nil {
		progress = func(string, int, int) {}
	}
	var all []Example
	var report Report
	if len(datasets) == 0 {
		return nil, report, errors.New("datasets: none given, want at least one")
	}
	for i, d := range datasets {
		examples, source, err := read(ctx, d, progress)
		if err != nil {
			return nil, report, fmt.Errorf("datasets[%d] %s: %w", i, d.Path, err)
		}
		if len(examples) == 0 {
			return nil, report, fmt.Errorf("datasets[%d] %s: no examples in it", i, d.Path)
		}
		source.Path, source.Examples, source.HeldOut = d.Path, len(examples), countHeldOut(examples)
		report.Sources = append(report.Sources, source)
		all = append(all, examples...)
	}
	return all, report, nil
}

// read reads one data set by its path and kind of file.
func read(ctx context.Context, d job.Dataset, progress Progress) ([]Example, Source, error) {
	switch {
	case d.Path == GoStd:
		return readGo(ctx, d, TypePairs, progress)
	case d.Path == GoSrc:
		return readGo(ctx, d, TypeText, progress)
	case strings.HasPrefix(d.Path, "go:"):
		return nil, Source{}, fmt.Errorf("unknown, want %s or %s", GoStd, GoSrc)
	case len(d.HeldOut) > 0:
		return nil, Source{}, fmt.Errorf("held_out lists packages, which only %s and %s have; use val_set_size", GoStd, GoSrc)
	case scheme(d.Path) != "":
		return nil, Source{}, fmt.Errorf("%s:// is not read yet: want a local file", scheme(d.Path))
	}
	kind, err := typeOf(d)
	if err != nil {
		return nil, Source{}, err
	}
	var examples []Example
	if strings.EqualFold(filepath.Ext(d.Path), ".jsonl") {
		examples, kind, err = readJSONL(ctx, d.Path, kind)
	} else {
		examples, err = readText(d.Path)
	}
	return examples, Source{Type: kind}, err
}

func scheme(path string) string {
	name, _, ok := strings.Cut(path, "://")
	if !ok {
		return ""
	}
	return name
}

// typeOf returns the type of a file's records, "" where the records will tell.
func typeOf(d job.Dataset) (string, error) {
	jsonl := false
	switch ext := strings.ToLower(filepath.Ext(d.Path)); ext {
	case ".jsonl":
		jsonl = true
	case ".json", ".csv", ".tsv", ".parquet", ".gz", ".zst":
		return "", fmt.Errorf("%s files are not read yet: want JSON lines (.jsonl) or plain text", ext)
	}
	switch d.Type {
	case TypeText, "completion": // Axolotl's word
		return TypeText, nil
	case TypePairs:
		if !jsonl {
			return "", fmt.Errorf("type %q wants JSON lines in a file named .jsonl", d.Type)
		}
		return TypePairs, nil
	case "":
		if !jsonl {
			return TypeText, nil
		}
		return "", nil
	}
	return "", fmt.Errorf("type %q is not read yet: want %s or %s", d.Type, TypePairs, TypeText)
}

// Texts returns what of the examples may be learnt from, for training a
// tokenizer: all but the held-out ones.
func Texts(examples []Example) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, x := range examples {
			if !x.HeldOut && !yield(x.Text+x.Prompt+x.Completion) {
				return
			}
		}
	}
}

func countHeldOut(examples []Example) (n int) {
	for _, x := range examples {
		if x.HeldOut {
			n++
		}
	}
	return n
}
