package corpus

import (
	"context"

	"carillon/job"
)

// Reading is what the data sets of a recipe hold, read once: with what is held
// out marked, and without what is to be left out.
type Reading struct {
	examples []Example
	report   Report
}

// Load reads the data of a recipe. It needs no model.
func Load(ctx context.Context, spec job.Spec, progress Progress) (*Reading, error) {
	examples, report, err := readAll(ctx, spec, progress)
	if err != nil {
		return nil, err
	}
	r := &Reading{examples, report}
	r.dropDuplicates(spec.DatasetExactDeduplication)
	if err := Split(r.examples, spec.ValSetSize, spec.Seed); err != nil {
		return nil, err
	}
	r.dropOverlap(spec.RemoveOverlap)
	return r, nil
}
