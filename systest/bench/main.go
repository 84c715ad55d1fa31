// Command bench measures what docs/bench.md says, and writes it (make bench).
//
// # How
//
// Whatever is compared runs side by side, in turns, at least 20 pairs of it, and
// the median of the ratios counts: so a machine that is busy for a while does
// not decide. Absolute figures come with the processor's name and are nothing
// that anybody must reach.
//
// The gradient and the optimizer are measured by the benchmarks of their own
// packages, what is around the gradient by processes that do everything of a
// step but the gradient (around.go), the start by a built carillon (startup.go), the
// methods beside PyTorch by processes of both sides (methods.go, bench/methods.py).
//
// # Failure
//
// A section that cannot be measured here (no XLA, no base model, no Python) says why
// in its place. Anything else that fails ends the program; then nothing is written.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"strings"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == aroundVerb {
		exit(aroundNode(os.Stdin, os.Stdout))
	}
	if len(os.Args) > 1 && os.Args[1] == stepVerb {
		exit(methodStep(os.Args[2:], os.Stdin, os.Stdout))
	}
	out := flag.String("out", "", "file to write; default: standard output")
	quick := flag.Bool("quick", false, "a few pairs only, to see that all runs; not for a report")
	only := flag.String("methods", "", "measure only methods beside PyTorch, those whose model/method (gpt2/lora) the regular expression matches")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if *only != "" {
		exit(runMethods(ctx, *out, *quick, *only))
	}
	exit(run(ctx, *out, *quick))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// run makes the report, section by section.
func run(ctx context.Context, out string, quick bool) error {
	var r report
	r.head(quick)
	gradient, err := gradientSection(ctx, &r)
	if err != nil {
		return err
	}
	for _, section := range []func(context.Context, *report, bool) error{
		func(ctx context.Context, r *report, quick bool) error { return aroundSection(ctx, r, quick, gradient) },
		adamSection, startupSection,
		func(ctx context.Context, r *report, quick bool) error {
			return methodsSection(ctx, r, quick, everyMethod)
		},
	} {
		if err := section(ctx, &r, quick); err != nil {
			return err
		}
	}
	if out == "" {
		_, err := os.Stdout.WriteString(r.String())
		return err
	}
	return os.WriteFile(out, []byte(r.String()+others(out)), 0o644)
}

// runMethods makes, or makes anew in the file, the section on methods alone.
func runMethods(ctx context.Context, out string, quick bool, only string) error {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	var r report
	if err := methodsSection(ctx, &r, quick, pattern); err != nil {
		return err
	}
	if out == "" {
		_, err := os.Stdout.WriteString(r.String())
		return err
	}
	text, err := os.ReadFile(out)
	if err != nil {
		return err
	}
	return os.WriteFile(out, []byte(replaceSection(string(text), methodsTitle, r.String())), 0o644)
}

// replaceSection puts a section, which begins with its title, in the place of the one
// of that title, or before the first that another program writes.
func replaceSection(text, title, section string) string {
	head := "## " + title + "\n"
	before, after, found := strings.Cut(text, head)
	if !found {
		before, after, found = strings.Cut(text, othersHead)
		if !found {
			return strings.TrimRight(text, "\n") + "\n\n" + section
		}
		return before + "\n" + strings.TrimRight(section, "\n") + "\n" + othersHead + after
	}
	if _, next, more := strings.Cut(after, "\n## "); more {
		return before + section + "## " + next
	}
	return before + section
}

// others returns the section that another program writes to the same file:
// bench/encode.py, which needs Python.
func others(out string) string {
	text, err := os.ReadFile(out)
	if err != nil {
		return ""
	}
	_, section, found := strings.Cut(string(text), othersHead)
	if !found {
		return ""
	}
	return othersHead + section
}

// othersHead is what such a section begins with.
const othersHead = "\n## Encoding text "

// report is the text of docs/bench.md as it grows.
type report struct{ strings.Builder }

func (r *report) head(quick bool) {
	r.say("# Measurements\n")
	if quick {
		r.say("(A quick run: too few pairs to mean anything.)\n")
	}
	r.say("Made by `make bench` on %s, on %s. Ratios are medians over pairs that ran in", today(), machine())
	r.say("turns; they are what counts. Times depend on the machine.\n")
}

func (r *report) say(format string, args ...any) { fmt.Fprintf(r, format+"\n", args...) }

// section begins one.
func (r *report) section(title string) {
	r.say("## %s\n", title)
	fmt.Fprintln(os.Stderr, "bench:", title)
}

// table writes rows, the first of them as the head.
func (r *report) table(rows ...[]string) {
	for i, row := range rows {
		r.say("| %s |", strings.Join(row, " | "))
		if i == 0 {
			r.say("|%s", strings.Repeat(" --- |", len(row)))
		}
	}
	r.say("")
}
