// Package guide compares fine-tuning techniques on a user's own data and says
// which one to take.
//
// # How
//
// A Table has a row for each technique, with what it cost and what came of it, and
// rows above them for what needs no training: the untuned base, the commonest
// class, a bag of words. Advise reads the table and decides; it is a pure function
// of it.
//
// # Failure
//
// A technique that could not be run has a row that says why; the others count.
//
// # Who decides
//
// The numbers. What package guide thinks of a technique beforehand is one column,
// what it is commonly used for, and does not enter the decision.
package guide

import (
	_ "embed"
	"fmt"
	"io"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
)

// Neutral is a text about nothing in particular. A tuned model whose loss on it has
// grown has forgotten something of what the base knew.
//
//go:embed neutral.txt
var Neutral string

// Row is one technique, or an anchor to compare with.
type Row struct {
	Technique string `json:"technique"`
	Anchor    bool   `json:"anchor,omitempty"` // nothing of the model is trained
	Use       string `json:"use"`              // what it is commonly used for
	Failed    string `json:"failed,omitempty"` // why it could not be run

	Trainable int       `json:"trainable_parameters"`
	Share     float64   `json:"trainable_share"` // of all parameters, with those that the technique adds
	Quality   float64   `json:"quality"`         // the mean of Runs
	Runs      []float64 `json:"runs"`            // one a seed
	Gap       float64   `json:"gap"`             // held-out loss minus training loss: how much was learnt by heart

	Steps           uint64   `json:"steps,omitempty"` // after which the judged state was
	Seconds         float64  `json:"seconds"`         // of one run
	TokensPerSecond float64  `json:"tokens_per_second"`
	PeakBytes       int64    `json:"peak_bytes"`     // of a node's memory
	BytesPerStep    float64  `json:"bytes_per_step"` // sent by a node
	FileBytes       int64    `json:"file_bytes"`     // of what is saved
	Forgetting      *float64 `json:"forgetting,omitempty"`
}

// Spread is the difference between the best and the worst run.
func (r Row) Spread() float64 {
	if len(r.Runs) == 0 {
		return 0
	}
	least, most := r.Runs[0], r.Runs[0]
	for _, q := range r.Runs {
		least, most = min(least, q), max(most, q)
	}
	return most - least
}

// Table is a comparison.
type Table struct {
	Metric   string   `json:"metric"`
	Higher   bool     `json:"higher_is_better"`
	Rows     []Row    `json:"rows"`
	Warnings []string `json:"warnings,omitempty"`
	Advice   Advice   `json:"advice"`
}

// Write prints the table for people, then the warnings and the advice.
func (t Table) Write(w io.Writer) {
	out := table.NewWriter()
	out.SetOutputMirror(w)
	out.SetStyle(table.StyleLight)
	out.AppendHeader(table.Row{"technique", "trainable", "%", t.Metric, "+-", "gap", "steps", "time", "tokens/s", "peak memory", "sent a step", "file", "forgets", "use"})
	for _, r := range t.Rows {
		out.AppendRow(t.cells(r))
	}
	out.Render()
	for _, s := range t.Warnings {
		fmt.Fprintln(w, "warning:", s)
	}
	fmt.Fprintln(w, t.Advice.Reason)
}

// cells are a row as text; what does not apply is empty.
func (t Table) cells(r Row) table.Row {
	if r.Failed != "" {
		return table.Row{r.Technique, "", "", r.Failed}
	}
	cells := table.Row{r.Technique, "", "", fmt.Sprintf("%.4f", r.Quality), "", "", "", "", "", "", "", "", "", r.Use}
	set := func(i int, is bool, format string, args ...any) {
		if is {
			cells[i] = fmt.Sprintf(format, args...)
		}
	}
	set(1, r.Trainable > 0, "%d", r.Trainable)
	set(2, r.Share > 0, "%.3f", 100*r.Share)
	set(4, len(r.Runs) > 1, "%.4f", r.Spread()/2)
	set(5, r.Gap != 0, "%+.3f", r.Gap)
	set(6, r.Steps > 0, "%d", r.Steps)
	set(7, r.Seconds > 0, "%v", time.Duration(r.Seconds*float64(time.Second)).Round(100*time.Millisecond))
	set(8, r.TokensPerSecond > 0, "%.0f", r.TokensPerSecond)
	set(9, r.PeakBytes > 0, "%s", size(float64(r.PeakBytes)))
	set(10, r.BytesPerStep > 0, "%s", size(r.BytesPerStep))
	set(11, r.FileBytes > 0, "%s", size(float64(r.FileBytes)))
	set(12, r.Forgetting != nil, "%+.3f", value(r.Forgetting))
	return cells
}

func value(x *float64) float64 {
	if x == nil {
		return 0
	}
	return *x
}

func size(n float64) string {
	switch {
	case n < 1e6:
		return fmt.Sprintf("%.1f kB", n/1e3)
	case n < 1e9:
		return fmt.Sprintf("%.1f MB", n/1e6)
	}
	return fmt.Sprintf("%.1f GB", n/1e9)
}
