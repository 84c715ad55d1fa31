package corpus

import (
	"slices"
	"strings"

	"carillon/job"
	"carillon/shard"
)

// madeRow is a row of the shard, with where its parts are from.
type madeRow struct {
	shard.Example
	from []string
}

// gatherer puts the rows together, in the order of the data, and counts them.
type gatherer struct {
	spec    job.Spec
	report  Report
	rows    []madeRow
	texts   [2][]int32 // training and held-out text, end to end
	lengths []int      // of the training examples
}

func newGatherer(spec job.Spec, report Report) *gatherer {
	report.Task, report.Method, report.Balance, report.SequenceLen = spec.TaskType, spec.Method, spec.Balance, spec.SequenceLen
	report.MaxTargetLength, report.MaskShare = spec.MaxTargetLength, spec.MLMProbability
	for _, name := range spec.Labels {
		report.Labels = append(report.Labels, LabelCount{Name: name})
	}
	return &gatherer{spec: spec, report: report}
}

// add adds what became of an example.
func (c *gatherer) add(x Example, d made) {
	r := &c.report
	if d.fate == cut || d.fate == tooLong {
		r.LongestLeftOut = max(r.LongestLeftOut, d.full)
	}
	switch {
	case d.fate == tooLong:
		r.Dropped++
		return
	case d.fate == unusable:
		if r.Unusable++; r.Unusable == 1 {
			r.FirstUnusable = d.why.Error()
		}
		return
	case d.fate == cut:
		r.Truncated++
	}
	switch {
	case c.spec.TaskType == job.MaskedLM:
		c.pieces(x, d.pieces)
		return
	case x.Kind == TypeText:
		c.text(x, d.Tokens)
		return
	}
	c.value(x, d.Labels)
	c.keep(d.Example, x.From)
}

// value counts what is learnt of an example as a whole.
func (c *gatherer) value(x Example, labels []int32) {
	r := &c.report
	switch {
	case x.Kind == TypeClassification && x.HeldOut:
		r.Labels[labels[0]].HeldOut++
	case x.Kind == TypeClassification:
		r.Labels[labels[0]].Train++
	case x.HeldOut:
	case x.Kind == TypeRegression:
		if r.Examples == 0 {
			r.Least, r.Most = x.Value, x.Value
		}
		r.Least, r.Most, r.Sum = min(r.Least, x.Value), max(r.Most, x.Value), r.Sum+x.Value
	case len(x.Messages) == 0 && strings.TrimSpace(x.Completion) == "":
		r.EmptyCompletions++
	}
}

// text adds a text to its stream. Where examples are packed, a text that is over
// is an example of its own.
func (c *gatherer) text(x Example, tokens []int32) {
	part := 0
	if x.HeldOut {
		part = 1
		c.report.HeldOutTextBytes += len(x.Text)
	} else {
		c.report.TextBytes += len(x.Text)
	}
	c.texts[part] = append(c.texts[part], tokens...)
	if c.spec.SamplePacking && !x.Continued {
		c.flush(part, x.From)
	}
}

// pieces keeps the examples of one text.
func (c *gatherer) pieces(x Example, all []shard.Example) {
	for _, piece := range all {
		c.keep(piece, x.From)
	}
}

// flush cuts a stream of text into pieces. A last piece of one token teaches
// nothing and is left out.
func (c *gatherer) flush(part int, from string) {
	stream := c.texts[part]
	c.texts[part] = nil
	for at := 0; at+1 < len(stream); at += c.spec.SequenceLen {
		c.keep(shard.Example{Tokens: stream[at:min(at+c.spec.SequenceLen, len(stream))], HeldOut: part == 1}, from)
	}
}

// keep adds an example and counts it.
func (c *gatherer) keep(x shard.Example, from string) {
	c.rows = append(c.rows, madeRow{x, []string{from}})
	r := &c.report
	if r.Task == job.Seq2SeqLM {
		r.LongestTarget = max(r.LongestTarget, len(x.Labels))
	}
	if x.HeldOut {
		r.HeldOutExamples++
		r.HeldOutTokens += len(x.Tokens)
		return
	}
	r.Examples++
	r.Tokens += len(x.Tokens)
	r.Learnt += learnt(x)
	c.lengths = append(c.lengths, len(x.Tokens))
}

// finish returns the rows and what is to be reported of them.
func (c *gatherer) finish() ([]madeRow, Report) {
	for part := range c.texts {
		c.flush(part, "texts, end to end")
	}
	if c.spec.SamplePacking {
		c.rows = pack(c.rows, c.spec.SequenceLen)
	}
	r := &c.report
	for _, row := range c.rows {
		if row.HeldOut {
			r.HeldOut++
			continue
		}
		r.Train++
		r.Slots += c.padded(len(row.Tokens))
	}
	r.setLengths(c.lengths)
	return c.rows, c.report
}

// padded returns the length of the bucket that holds n tokens.
func (c *gatherer) padded(n int) int {
	i, _ := slices.BinarySearch(c.spec.Buckets, n)
	if i == len(c.spec.Buckets) {
		return c.spec.SequenceLen
	}
	return c.spec.Buckets[i]
}

func learnt(x shard.Example) int {
	if x.Labels == nil {
		return len(x.Tokens)
	}
	n := 0
	for _, l := range x.Labels {
		if l != shard.Ignore {
			n++
		}
	}
	return n
}
