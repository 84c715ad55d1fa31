package corpus

import (
	"context"
	"errors"
	"strings"

	"carillon/job"
)

// Peek returns the task that a recipe's data is for, by paths, types and the
// first records alone; the rest may still turn out to be something else. What it
// sees that cannot be read is an error. encoderDecoder says that the base model
// is of that kind.
func Peek(ctx context.Context, spec job.Spec, encoderDecoder bool) (string, error) {
	var r Reading
	for _, set := range setsOf(spec) {
		kind, err := peek(ctx, set.Dataset, spec)
		if err != nil {
			return "", set.wrap(err)
		}
		r.examples = append(r.examples, Example{Kind: kind, From: set.Path})
	}
	resolved, err := r.resolveTask(spec, encoderDecoder)
	return resolved.TaskType, err
}

// peek returns the type of a data set's records.
func peek(ctx context.Context, d job.Dataset, spec job.Spec) (string, error) {
	switch {
	case d.Path == GoStd:
		return TypePairs, nil
	case strings.HasPrefix(d.Path, "go:"):
		return TypeText, nil // another name than go:src is found when it is read
	}
	c := collector{d: d, groupBy: spec.GroupBy, skip: spec.OnBadRow == "skip"}
	for r, err := range rows(ctx, d) {
		if err == nil {
			err = c.add(r)
		} else {
			err = c.judge(err)
		}
		if err != nil || c.settled {
			return c.shape.kind, err
		}
	}
	err := c.settle()
	if err == nil && !c.settled {
		err = errors.New("no examples in it")
	}
	return c.shape.kind, err
}
