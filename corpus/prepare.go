package corpus

import (
	"context"

	"carillon/job"
	"carillon/shard"
	"carillon/tokenizer"
)

// Prepare reads, splits and tokenizes the data of a job: what shard.Build needs.
// limit is the most tokens that the base model takes, 0 if that is not known.
func Prepare(ctx context.Context, spec job.Spec, tok *tokenizer.Tokenizer, limit int, progress Progress) ([]shard.Example, Report, error) {
	examples, report, err := Read(ctx, spec.Datasets, progress)
	if err != nil {
		return nil, report, err
	}
	if err := Split(examples, spec.ValSetSize, spec.Seed); err != nil {
		return nil, report, err
	}
	out, err := Tokenize(ctx, tok, examples, Options{
		SequenceLen:   spec.SequenceLen,
		Context:       limit,
		Excess:        spec.ExcessLengthStrategy,
		TrainOnInputs: spec.TrainOnInputs,
	}, &report, progress)
	return out, report, err
}
