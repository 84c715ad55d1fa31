package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"carillon/backend"
)

// python names the interpreter, with PyTorch, PEFT and adapters, that methods are
// compared with. Without it they are not measured.
const python = "CARILLON_PYTHON"

const methodsTitle = "Each method beside PyTorch"

// everyMethod leaves none out.
var everyMethod = regexp.MustCompile("")

// measured is what came of a method on a shape: medians over pairs of steps.
type measured struct {
	trained         int
	ours, theirs    float64 // seconds a step
	ratio, cpuRatio float64 // theirs to ours, by the clock and of processor time
	peaks           [2]float64
	versions        string
}

// methodsSection measures the methods whose "shape/method" only matches.
func methodsSection(ctx context.Context, r *report, quick bool, only *regexp.Regexp) error {
	r.section(methodsTitle)
	if os.Getenv(python) == "" {
		r.say("Not measured: %s does not name a Python with torch, peft and adapters.\n", python)
		return nil
	}
	turns := 10
	if quick {
		turns = 2
	}
	rows := [][]string{{"model", "method", "trained", "carillon, tokens/s", "PyTorch, tokens/s", "times as fast", "by processor time", "carillon, MiB", "PyTorch, MiB"}}
	var versions string
	for _, s := range shapes {
		m, err := measureShape(ctx, s, turns, only)
		if err != nil {
			return fmt.Errorf("%s beside PyTorch: %w", s.title, err)
		}
		for i, got := range m {
			if got != nil {
				rows = append(rows, got.row(s, methodNames[i]))
				versions = got.versions
			}
		}
	}
	r.sayMethods(turns, versions)
	r.table(rows...)
	return nil
}

func (r *report) sayMethods(turns int, versions string) {
	r.say("Forward and backward on the CPU in float32, of feature forward alone; ours with the trainables' way to the engine and the")
	r.say("gradient's way back. The same random weights and tokens: what both compute is compared before anything is timed.")
	var sizes []string
	for _, s := range shapes {
		sizes = append(sizes, fmt.Sprintf("%s %d x %d%s", s.title, s.rows, s.length, s.targets()))
	}
	r.say("%s tokens; r 8 on %s, bottlenecks of a sixteenth, 20 virtual tokens.", strings.Join(sizes, ", "), "queries and values (GPT-2: c_attn)")
	r.say("A process each, which step in turns; medians over %d pairs, memory is the most that a process had, loading included.", turns)
	r.say("Above 1 is the aim. %s, PEFT and adapters. `%s=PYTHON go run ./systest/bench -methods .`\n", versions, python)
}

func (s shape) targets() string {
	if s.target == 0 {
		return ""
	}
	return fmt.Sprintf(" and %d", s.target)
}

// row is a line of the table.
func (m measured) row(s shape, method string) []string {
	tokens := float64(s.rows * s.length)
	trained := strconv.Itoa(m.trained)
	if m.trained == 0 {
		trained = "-"
	}
	return []string{
		s.title, method, trained, fmt.Sprintf("%.0f", tokens/m.ours), fmt.Sprintf("%.0f", tokens/m.theirs),
		fmt.Sprintf("%.2f", m.ratio), fmt.Sprintf("%.2f", m.cpuRatio), fmt.Sprintf("%.0f", m.peaks[0]/(1<<20)), fmt.Sprintf("%.0f", m.peaks[1]/(1<<20)),
	}
}

// measureShape measures the methods on a shape; nil for those that are left out.
func measureShape(ctx context.Context, s shape, turns int, only *regexp.Regexp) (all []*measured, err error) {
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	for _, method := range methodNames {
		if !only.MatchString(s.name + "/" + method) {
			all = append(all, nil)
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, "config.json")); err != nil {
			if out, err := exec.CommandContext(ctx, os.Getenv(python), "bench/methods.py", "write", s.name, dir).CombinedOutput(); err != nil {
				return nil, fmt.Errorf("write the model: %w\n%s", err, out)
			}
		}
		m, err := measurePair(ctx, s, method, dir, turns)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", method, err)
		}
		fmt.Fprintf(os.Stderr, "bench: %s %s: %.3f s, PyTorch %.3f s\n", s.title, method, m.ours, m.theirs)
		all = append(all, m)
	}
	return all, nil
}

// measurePair lets both sides step in turns.
func measurePair(ctx context.Context, s shape, method, dir string, turns int) (m *measured, err error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	var env []string
	if method == "full" { // as launch starts nodes that train as much
		env = backend.SteadyEnv()
	}
	ours, err := startStepper(ctx, env, exe, stepVerb, s.name, method, dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, ours.end()) }()
	theirs, err := startStepper(ctx, nil, os.Getenv(python), "bench/methods.py", "step", s.name, method, dir,
		strconv.Itoa(s.rows), strconv.Itoa(s.length), strconv.Itoa(s.target))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, theirs.end()) }()
	if err := sameLoss(method, ours.first, theirs.first); err != nil {
		return nil, err
	}
	m = &measured{trained: ours.first.Trained, versions: theirs.first.Versions}
	return m, m.take(ours, theirs, turns)
}

// sameLoss refuses to compare the speed of what computes something else. Methods that
// begin with random numbers of their own begin elsewhere, with as many.
func sameLoss(method string, ours, theirs said) error {
	if ours.Trained != theirs.Trained {
		return fmt.Errorf("we train %d numbers, PyTorch %d", ours.Trained, theirs.Trained)
	}
	off := math.Abs(ours.Loss-theirs.Loss) / theirs.Loss
	switch method {
	case "full", "lora", "ia3", "feature":
		if !(off < 1e-4) {
			return fmt.Errorf("our loss is %v, PyTorch's %v", ours.Loss, theirs.Loss)
		}
	}
	return nil
}

// take takes the steps.
func (m *measured) take(ours, theirs *stepper, turns int) error {
	var a, b, ratio, cpu []float64
	for turn := range turns {
		order := []*stepper{ours, theirs}
		if turn%2 == 1 {
			order = []*stepper{theirs, ours}
		}
		for _, s := range order {
			if err := s.step(); err != nil {
				return err
			}
		}
		a, b = append(a, ours.last.Seconds), append(b, theirs.last.Seconds)
		ratio, cpu = append(ratio, theirs.last.Seconds/ours.last.Seconds), append(cpu, theirs.last.CPU/ours.last.CPU)
	}
	m.ours, m.theirs, m.ratio, m.cpuRatio = median(a), median(b), median(ratio), median(cpu)
	for i, s := range []*stepper{ours, theirs} {
		if err := s.finish(); err != nil {
			return err
		}
		m.peaks[i] = s.last.Peak
	}
	return nil
}
