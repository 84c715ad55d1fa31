package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"

	"carillon/allreduce"
	"carillon/coordinator"
	"carillon/launch"
)

// view shows a run: news line by line, and below them one line that says how the
// job stands. On a terminal that line is redrawn; in a pipe it is printed now
// and then.
type view struct {
	w        io.Writer
	terminal bool
	drawn    bool   // a status line stands on the screen
	line     string // of the last status
	every    uint64 // in a pipe: steps between two lines
	shown    uint64
	saved    uint64
}

var _ launch.View = (*view)(nil)

// newView shows on w, a line at least every so many steps (logging_steps).
func newView(w io.Writer, every int) *view {
	f, ok := w.(*os.File)
	return &view{w: w, terminal: ok && term.IsTerminal(int(f.Fd())), every: uint64(max(1, every))}
}

// Note prints a line of news.
func (v *view) Note(text string) {
	v.clear()
	fmt.Fprintln(v.w, text)
	v.draw()
}

// Progress shows how far a long piece of work is, on a terminal only.
func (v *view) Progress(what string, done, total int) {
	if !v.terminal {
		return
	}
	v.line = what
	if total > 0 {
		v.line = fmt.Sprintf("%s: %d of %d", what, done, total)
	}
	v.clear()
	v.draw()
}

// Status shows how the job stands.
func (v *view) Status(s coordinator.Status) {
	if s.Saved > v.saved {
		v.saved = s.Saved
		v.Note(fmt.Sprintf("checkpoint of step %d saved", s.Saved))
	}
	v.line = statusLine(s)
	if v.terminal {
		v.clear()
		v.draw()
		return
	}
	r := s.Record
	if r != nil && r.Step != v.shown && (r.Step >= v.shown+v.every || r.Step == s.Steps || r.Step == 1) {
		v.shown = r.Step
		fmt.Fprintln(v.w, v.line)
	}
}

// statusLine is a job in one line.
func statusLine(s coordinator.Status) string {
	if s.Record == nil {
		var states []string
		for _, m := range s.Members {
			states = append(states, m.Name+" "+m.State)
		}
		return strings.Join(states, ", ")
	}
	m := coordinator.MetricsOf(*s.Record)
	line := fmt.Sprintf("step %d/%d  loss %.4f  %.0f %s/s  %s sent a step and node  roster %v: %s",
		s.Record.Step, s.Steps, m.Loss, m.TokensPerSecond, learnt(s.Record.Tail), size(m.BytesSent), s.Roster.Number, members(s))
	if m.EvalLoss != nil {
		line += fmt.Sprintf("  held-out loss %.4f", *m.EvalLoss)
	}
	return line
}

// learnt is the word for what is counted: where each example is asked for one thing,
// a class or a number, that is the example.
func learnt(t allreduce.Tail) string {
	if t[allreduce.Tokens] == t[allreduce.Examples] {
		return "examples"
	}
	return "tokens"
}

func members(s coordinator.Status) string {
	var names []string
	for _, m := range s.Roster.Members {
		names = append(names, m.Name)
	}
	return strings.Join(names, " ")
}

func size(n uint64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.1f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.1f MB", float64(n)/1e6)
}

// clear removes the status line from a terminal.
func (v *view) clear() {
	if v.drawn {
		fmt.Fprint(v.w, "\r"+text.EraseLine.Sprint())
		v.drawn = false
	}
}

// draw puts the status line on a terminal, cut to its width.
func (v *view) draw() {
	if !v.terminal || v.line == "" {
		return
	}
	width := 80
	if f, ok := v.w.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil {
			width = w
		}
	}
	fmt.Fprint(v.w, text.Trim(v.line, width-1))
	v.drawn = true
}

// restart forgets what was shown, for another run.
func (v *view) restart() {
	v.end()
	v.line, v.shown, v.saved = "", 0, 0
}

// end leaves the terminal as it was.
func (v *view) end() { v.clear() }
