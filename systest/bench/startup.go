package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"carillon/launch"
)

// startupSection measures a built carillon from the command to the first step.
func startupSection(ctx context.Context, r *report, quick bool) error {
	r.section("From the command to the first step")
	if _, err := os.Stat(filepath.Join("demo", "base", "model.safetensors")); errors.Is(err, fs.ErrNotExist) {
		r.say("Not measured: demo/base has no model.safetensors.\n")
		return nil
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	exe := filepath.Join(dir, "carillon")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", exe, "./cmd/carillon").CombinedOutput(); err != nil {
		return fmt.Errorf("build carillon: %w\n%s", err, out)
	}
	times := 5
	if quick {
		times = 1
	}
	var first, compile, rest []float64
	for i := range times {
		f, c, err := startup(ctx, exe, filepath.Join(dir, fmt.Sprint(i)))
		if err != nil {
			return err
		}
		first, compile, rest = append(first, f), append(compile, c), append(rest, f-c)
	}
	r.say("`carillon train recipes/demo.yaml --nodes 2`, medians of %d runs. At most 2 s beside the compilation is the aim.\n", times)
	r.table([]string{"seconds to the end of the first step", "of that, compilation", "beside it"},
		[]string{fmt.Sprintf("%.1f", median(first)), fmt.Sprintf("%.1f", median(compile)), fmt.Sprintf("%.1f", median(rest))})
	return nil
}

// startup returns the seconds to the first step, and those of the slower node's compilation.
func startup(ctx context.Context, exe, out string) (first, compile float64, err error) {
	cmd := exec.CommandContext(ctx, exe, "train", "recipes/demo.yaml", "--nodes", "2", "--set", "max_steps=2", "--set", "warmup_steps=0", "--out", out, "--json")
	text, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			text = exit.Stderr
		}
		return 0, 0, fmt.Errorf("%v: %w\n%s", cmd.Args, err, text)
	}
	var res launch.Result
	if err := json.Unmarshal(text, &res); err != nil {
		return 0, 0, fmt.Errorf("%v: %w", cmd.Args, err)
	}
	for _, node := range []string{"n1", "n2"} {
		took, err := between(filepath.Join(out, launch.LogDir, node+".log"), "msg=compiling", "msg=compiled")
		if err != nil {
			return 0, 0, err
		}
		compile = max(compile, took)
	}
	return res.FirstStep, compile, nil
}

// between returns the seconds between the lines of a log that hold a and b.
func between(path, a, b string) (float64, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	var at [2]time.Time
	for line := range strings.Lines(string(text)) {
		stamp, rest, _ := strings.Cut(strings.TrimPrefix(line, "time="), " ")
		for i, word := range []string{a, b} {
			if strings.Contains(rest, word+" ") && at[i].IsZero() {
				if at[i], err = time.Parse(time.RFC3339Nano, stamp); err != nil {
					return 0, fmt.Errorf("%s: %w", path, err)
				}
			}
		}
	}
	if at[0].IsZero() || at[1].IsZero() {
		return 0, fmt.Errorf("%s does not say %s and %s", path, a, b)
	}
	return at[1].Sub(at[0]).Seconds(), nil
}
