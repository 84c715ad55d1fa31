package corpus

import (
	"context"
	"errors"
	"fmt"
	"iter"
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

// Read reads the data sets in order, each record an example and a group of its
// own. The first bad record is an error. A nil progress is never called.
func Read(ctx context.Context, datasets []job.Dataset, progress Progress) ([]Example, Report, error) {
	return readAll(ctx, job.Spec{Datasets: datasets}, progress)
}

// readAll reads the data sets of a recipe in order, those to train on and then
// those to evaluate on, as its on_bad_row and group_by say.
func readAll(ctx context.Context, spec job.Spec, progress Progress) ([]Example, Report, error) {
	if progress == nil {
		progress = func(string, int, int) {}
	}
	var report Report
	if len(spec.Datasets) == 0 {
		return nil, report, errors.New("datasets: none given, want at least one")
	}
	var all []Example
	for _, set := range setsOf(spec) {
		examples, source, err := read(ctx, set.Dataset, spec, set.heldOut, progress)
		if err != nil {
			return nil, report, set.wrap(err)
		}
		report.Sources = append(report.Sources, source)
		all = append(all, examples...)
	}
	return all, report, nil
}

// set is a data set of a recipe.
type set struct {
	job.Dataset
	key     string // the recipe's, with its place in the list
	heldOut bool   // whole
}

// setsOf returns all data sets of a recipe: those to train on, then those to
// evaluate on.
func setsOf(spec job.Spec) (sets []set) {
	for i, d := range spec.Datasets {
		sets = append(sets, set{d, fmt.Sprintf("datasets[%d]", i), false})
	}
	for i, d := range spec.TestDatasets {
		sets = append(sets, set{d, fmt.Sprintf("test_datasets[%d]", i), true})
	}
	return sets
}

// wrap says which data set an error is of.
func (s set) wrap(err error) error { return fmt.Errorf("%s %s: %w", s.key, s.Path, err) }

// read reads one data set, of which there must be something.
func read(ctx context.Context, d job.Dataset, spec job.Spec, heldOut bool, progress Progress) ([]Example, Source, error) {
	examples, source, err := readKind(ctx, d, spec, heldOut, progress)
	switch {
	case err != nil:
		return nil, source, err
	case len(examples) == 0 && source.BadRows > 0:
		return nil, source, fmt.Errorf("no examples in it: all of %s bad, such as %s", plural(source.BadRows, "record"), source.FirstBad[0])
	case len(examples) == 0:
		return nil, source, errors.New("no examples in it")
	}
	for i := range examples {
		examples[i].HeldOut = examples[i].HeldOut || heldOut
	}
	source.Path = d.Path
	source.Examples, source.HeldOut = len(examples), countHeldOut(examples)
	return examples, source, nil
}

// readKind reads one data set by its path.
func readKind(ctx context.Context, d job.Dataset, spec job.Spec, heldOut bool, progress Progress) ([]Example, Source, error) {
	isGo := strings.HasPrefix(d.Path, "go:")
	switch {
	case isGo && spec.GroupBy != "" && spec.GroupBy != "package":
		return nil, Source{}, fmt.Errorf("group_by %q: its groups are packages, so that only %q is right", spec.GroupBy, "package")
	case heldOut && len(d.HeldOut) > 0:
		return nil, Source{}, errors.New("held_out: all of a test data set is held out; leave it out")
	case d.Path == GoStd:
		return readGo(ctx, d, TypePairs, progress)
	case d.Path == GoSrc:
		return readGo(ctx, d, TypeText, progress)
	case isGo:
		return nil, Source{}, fmt.Errorf("unknown, want %s or %s", GoStd, GoSrc)
	case len(d.HeldOut) > 0:
		return nil, Source{}, fmt.Errorf("held_out lists packages, which only %s and %s have; use val_set_size", GoStd, GoSrc)
	}
	return readFiles(ctx, d, spec, progress)
}

// Texts returns what of the examples may be learnt from, for training a
// tokenizer: all but the held-out ones.
func Texts(examples []Example) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, x := range examples {
			if !x.HeldOut && !yield(x.all()) {
				return
			}
		}
	}
}

// all returns every text of an example, end to end.
func (x Example) all() string {
	text := x.Text + x.Text2 + x.Prompt + x.Completion
	for _, m := range x.Messages {
		text += m.Content
	}
	return text
}

func countHeldOut(examples []Example) (n int) {
	for _, x := range examples {
		if x.HeldOut {
			n++
		}
	}
	return n
}
