package corpus

import (
	"context"

	"carillon/job"
	"carillon/shard"
	"carillon/tokenizer"
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

// Prepare reads, splits and tokenizes the data of a job: what shard.Build needs.
// limit is the most tokens that the base model takes, 0 if that is not known. A
// spec whose task_type is open is that of a model without an encoder.
func Prepare(ctx context.Context, spec job.Spec, tok *tokenizer.Tokenizer, limit int, progress Progress) ([]shard.Example, Report, error) {
	r, err := Load(ctx, spec, progress)
	if err != nil {
		return nil, Report{}, err
	}
	if spec, err = r.Resolve(spec, spec.TaskType == job.Seq2SeqLM); err != nil {
		return nil, r.report, err
	}
	return r.Tokenize(ctx, spec, tok, limit, progress)
}
