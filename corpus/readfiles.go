package corpus

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"

	"carillon/job"
)

// guessRows is the most records by which the shape of the others is told: enough to
// see that classes are not numbers.
const guessRows = 1000

// firstBad is the number of bad records that are shown; all are counted.
const firstBad = 3

// readFiles reads a data set that consists of files.
func readFiles(ctx context.Context, d job.Dataset, spec job.Spec, progress Progress) ([]Example, Source, error) {
	c := collector{d: d, groupBy: spec.GroupBy, skip: spec.OnBadRow == "skip"}
	n := 0
	for r, err := range rows(ctx, d) {
		if err == nil {
			err = c.add(r)
		} else {
			err = c.judge(err)
		}
		if err != nil {
			return nil, c.source, err
		}
		if n++; n%4096 == 0 {
			progress("reading "+d.Path, n, 0)
		}
	}
	err := c.settle()
	return c.examples, c.source, err
}

// collector makes examples of the records of one data set.
type collector struct {
	d        job.Dataset
	groupBy  string
	skip     bool // bad records are counted, and passed over
	first    []row
	settled  bool // the shape is known
	shape    shape
	examples []Example
	source   Source
}

// add takes a record. The first few wait until the shape can be told.
func (c *collector) add(r row) error {
	if c.settled {
		return c.judge(c.take(r))
	}
	c.first = append(c.first, r)
	if len(c.first) < guessRows {
		return nil
	}
	return c.settle()
}

// settle tells the shape by the first records, and takes these.
func (c *collector) settle() error {
	if c.settled || len(c.first) == 0 {
		return nil
	}
	var err error
	if c.shape, err = newShape(c.d, c.first); err != nil {
		return err
	}
	c.settled = true
	c.source.Type, c.source.Guessed = c.shape.kind, c.shape.guessed
	for _, r := range c.first {
		if err := c.judge(c.take(r)); err != nil {
			return err
		}
	}
	c.first = nil
	return nil
}

// take makes an example of a record.
func (c *collector) take(r row) error {
	x, err := c.shape.example(r)
	if err != nil {
		return err
	}
	if c.groupBy != "" {
		if x.Group, err = groupOf(r, c.groupBy); err != nil {
			return err
		}
	}
	c.examples = append(c.examples, x)
	return nil
}

// judge returns nil for the error of a bad record that may be skipped, and
// counts it.
func (c *collector) judge(err error) error {
	var spoilt *badRow
	if !c.skip || !errors.As(err, &spoilt) {
		return err
	}
	c.source.BadRows++
	if len(c.source.FirstBad) < firstBad {
		c.source.FirstBad = append(c.source.FirstBad, err.Error())
	}
	return nil
}

// groupOf returns the value of the field that groups records.
func groupOf(r row, field string) (string, error) {
	value, ok := r.fields[field]
	group := ""
	switch v := value.(type) {
	case string:
		group = v
	case json.Number:
		group = v.String()
	case bool:
		group = strconv.FormatBool(v)
	}
	switch {
	case !ok:
		return "", bad(r.from, "no field %q, by which group_by groups", field)
	case value == "":
		return "", bad(r.from, "field %q, by which group_by groups, is empty: want a string or a number", field)
	case group == "":
		return "", bad(r.from, "field %q, by which group_by groups, is %s: want a string or a number", field, whatIs(value))
	}
	return group, nil
}
