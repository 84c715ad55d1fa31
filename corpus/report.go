package corpus

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"carillon/job"
)

// Report counts what was read, what became of it, and what was left out. Of
// texts that are put end to end, the pieces are the examples.
type Report struct {
	Sources []Source

	Task, Method, Balance string // task_type, method and balance of the recipe
	SequenceLen           int
	MaxTargetLength       int     // max_target_length; 0 but where targets stand apart
	MaskShare             float64 // mlm_probability; 0 but of masked_lm

	Train, HeldOut   int // rows that go into the shard: examples, or packs of them
	Examples         int // training examples in the rows; more than Train if they are packed
	HeldOutExamples  int
	Tokens           int // of the training examples
	HeldOutTokens    int
	Learnt           int    // tokens of the training examples that are learnt, or may be hidden; of targets, if they stand apart
	P50, P95         int    // lengths that 50 and 95 of 100 training examples do not exceed, in tokens
	Longest          int    // tokens of the longest training example
	LongestTarget    int    // tokens of the longest target kept, where targets stand apart
	Dropped          int    // examples longer than sequence_len or max_target_length, left out
	Truncated        int    // the same, cut
	LongestLeftOut   int    // tokens of the longest example that was dropped or cut
	Unusable         int    // examples that have nothing to learn, or that the chat template refuses, left out
	FirstUnusable    string // what was wrong with the first of them
	EmptyCompletions int    // training examples that teach to say nothing
	Slots            int    // tokens that the training rows take with their padding
	TextBytes        int    // bytes of the training text, for bits per byte
	HeldOutTextBytes int

	Duplicates       int // examples that repeat an earlier one of the same part
	DuplicatesLeft   bool
	Overlap          int // training examples whose input is held out too
	OverlapLeft      bool
	Labels           []LabelCount // of classification, in the order of class numbers
	Least, Most, Sum float64      // of regression: the training values
}

// LabelCount counts the examples of a class.
type LabelCount struct {
	Name           string
	Train, HeldOut int
}

// Source is one data set of the recipe.
type Source struct {
	Path, Type  string
	Version     string   // of Go, for go:std and go:src
	Guessed     bool     // the recipe does not say the type
	Examples    int      // read
	HeldOut     int      // of them, held out by a list
	Groups      int      // packages; 0 where there are none
	BadRows     int      // skipped
	FirstBad    []string // what was wrong with the first few of them
	Duplicates  int      // exact ones, left out
	Deprecated  int      // left out
	Undescribed int      // exported, but without a comment; left out
}

// Fill returns the share of the training rows' tokens that are no padding. A row
// counts as padded to the bucket that holds it, as it is if it comes alone.
func (r Report) Fill() float64 {
	if r.Slots == 0 {
		return 1
	}
	return float64(r.Tokens) / float64(r.Slots)
}

// String is a line a source, a line for each thing that is to be said of the
// whole, and the warnings.
func (r Report) String() string {
	var b strings.Builder
	for _, s := range r.Sources {
		fmt.Fprintln(&b, s)
	}
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	for _, line := range r.lines() {
		if line[1] != "" {
			fmt.Fprintf(w, "%s\t%s\n", line[0], line[1])
		}
	}
	w.Flush()
	return strings.TrimSuffix(b.String(), "\n")
}

// lines are what is said of the whole: a name, and what there is, "" for nothing.
func (r Report) lines() [][2]string {
	lines := [][2]string{
		{"training", r.training()},
		{"held out", r.heldOut()},
		{"labels", r.labels()},
		{"values", r.values()},
		{"too long", r.tooLong()},
		{"unusable", some(r.Unusable, "example", "left out; the first: "+r.FirstUnusable)},
		{"duplicates", some(r.Duplicates, "example", "like an earlier one, "+fate(r.DuplicatesLeft))},
		{"overlap", some(r.Overlap, "training example", "with the input of a held-out one, "+fate(r.OverlapLeft))},
		{"rows", r.rows()},
	}
	for _, text := range r.Warnings() {
		lines = append(lines, [2]string{"warning", text})
	}
	return lines
}

func (r Report) training() string {
	text := counted(r.Examples, "example") + tokens(r.Tokens)
	switch {
	case r.Task == job.Seq2SeqLM:
		text += fmt.Sprintf(", targets of %d tokens, the longest %d", r.Learnt, r.LongestTarget)
	case r.Task == job.MaskedLM:
		text += fmt.Sprintf(", %.4g %% of %d asked for, others each time", 100*r.MaskShare, r.Learnt)
	case r.Tokens > 0 && r.Task != job.SeqCls && r.Task != job.Regression:
		text += fmt.Sprintf(", %s of them learnt", percent(r.Learnt, r.Tokens))
	}
	return text + fmt.Sprintf("; half have up to %d tokens, 95 %% up to %d, the longest %d", r.P50, r.P95, r.Longest)
}

func (r Report) heldOut() string {
	switch {
	case r.HeldOut == 0:
		return "none"
	case r.HeldOut != r.HeldOutExamples:
		return fmt.Sprintf("%s of %s%s", counted(r.HeldOut, "pack"), counted(r.HeldOutExamples, "example"), tokens(r.HeldOutTokens))
	}
	return counted(r.HeldOutExamples, "example") + tokens(r.HeldOutTokens)
}

// losses says where all examples have gone, where none is left, and what to do.
func (r Report) losses() string {
	parts := []string{counted(r.HeldOutExamples, "example") + " held out"}
	add := func(n int, format string, args ...any) {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d ", n)+fmt.Sprintf(format, args...))
		}
	}
	if r.OverlapLeft {
		add(r.Overlap, "left out by remove_overlap, since their input is held out too")
	}
	add(r.Dropped, "longer than %s (the longest has %d tokens), which has to be larger", r.limits(), r.LongestLeftOut)
	add(r.Unusable, "unusable, the first: %s", r.FirstUnusable)
	return strings.Join(parts, ", ")
}

// limits are the lengths that bound an example.
func (r Report) limits() string {
	text := fmt.Sprintf("sequence_len %d", r.SequenceLen)
	if r.MaxTargetLength > 0 {
		text += fmt.Sprintf(" or max_target_length %d", r.MaxTargetLength)
	}
	return text
}

func (r Report) labels() string {
	var parts []string
	for _, l := range r.Labels {
		parts = append(parts, fmt.Sprintf("%s %d (%s)", l.Name, l.Train, percent(l.Train, r.Examples)))
	}
	const most = 12 // a line that can be read
	if n := len(parts); n > most {
		parts = append(parts[:most], fmt.Sprintf("and %d more", n-most))
	}
	return strings.Join(parts, ", ")
}

func (r Report) values() string {
	if r.Task != job.Regression || r.Examples == 0 {
		return ""
	}
	return fmt.Sprintf("from %.6g to %.6g, on average %.6g", r.Least, r.Most, r.Sum/float64(r.Examples))
}

func (r Report) tooLong() string {
	if r.Dropped+r.Truncated == 0 {
		return ""
	}
	return fmt.Sprintf("%s left out, %d cut to %s; the longest had %d tokens", counted(r.Dropped, "example"), r.Truncated, r.limits(), r.LongestLeftOut)
}

func (r Report) rows() string {
	if r.Slots == 0 {
		return ""
	}
	text := percent(r.Tokens, r.Slots) + " of what is computed is text, the rest padding"
	if r.Train != r.Examples {
		text = fmt.Sprintf("%s of %s; %s", counted(r.Train, "pack"), counted(r.Examples, "example"), text)
	}
	return text
}

// String says what was read in one line, and more for bad rows.
func (s Source) String() string {
	var b strings.Builder
	b.WriteString(s.Path)
	if s.Version != "" {
		fmt.Fprintf(&b, " (%s)", s.Version)
	}
	fmt.Fprintf(&b, ": %s of type %s", counted(s.Examples, "example"), s.Type)
	if s.Guessed {
		b.WriteString(" (guessed)")
	}
	for _, count := range []struct {
		n    int
		what string
	}{
		{s.Groups, "packages"}, {s.HeldOut, "held out"}, {s.Duplicates, "duplicates left out"},
		{s.Deprecated, "deprecated left out"}, {s.Undescribed, "without a comment left out"}, {s.BadRows, "bad, skipped"},
	} {
		if count.n > 0 {
			fmt.Fprintf(&b, ", %d %s", count.n, count.what)
		}
	}
	for _, bad := range s.FirstBad {
		fmt.Fprintf(&b, "\n  skipped %s", bad)
	}
	return b.String()
}

// setLengths fills in the report's lengths from those of the training examples,
// which it sorts.
func (r *Report) setLengths(all []int) {
	if len(all) == 0 {
		return
	}
	slices.Sort(all)
	at := func(share int) int { return all[(len(all)*share+99)/100-1] }
	r.P50, r.P95, r.Longest = at(50), at(95), at(100)
}

func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func tokens(n int) string {
	if n == 0 {
		return ""
	}
	return ", " + counted(n, "token")
}

// some says how many there are of what; nothing of none.
func some(n int, what, more string) string {
	if n == 0 {
		return ""
	}
	return counted(n, what) + " " + more
}

func fate(left bool) string {
	if left {
		return "left out"
	}
	return "kept"
}

func percent(n, of int) string {
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(cmp.Or(of, 1)))
}
