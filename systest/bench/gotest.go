package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// benchmark is a line of go test -bench: name without Benchmark and -N, and the
// values by unit.
type benchmark struct {
	name   string
	values map[string]float64
}

// goBench runs benchmarks of a package of this module. skipped is the reason
// that they give for not running.
func goBench(ctx context.Context, pkg, pattern, benchtime string) (lines []benchmark, skipped string, err error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run=^$", "-v", "-timeout=1h", "-bench="+pattern, "-benchtime="+benchtime, pkg)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, "", fmt.Errorf("%v: %w\n%s%s", cmd.Args, err, out, stderr.Bytes())
	}
	for line := range strings.Lines(string(out)) {
		if b, ok := parseBenchmark(line); ok {
			lines = append(lines, b)
		} else if strings.Contains(line, "needs XLA") {
			skipped = strings.TrimSpace(line)
		}
	}
	if len(lines) == 0 && skipped == "" {
		return nil, "", fmt.Errorf("%v: no benchmark has run", cmd.Args)
	}
	return lines, skipped, nil
}

// parseBenchmark reads "BenchmarkX/y-2  20  12.5 ms/step  0.9 of-bare".
func parseBenchmark(line string) (benchmark, bool) {
	f := strings.Fields(line)
	if len(f) < 4 || len(f)%2 != 0 || !strings.HasPrefix(f[0], "Benchmark") {
		return benchmark{}, false
	}
	b := benchmark{name: strings.TrimPrefix(f[0], "Benchmark"), values: map[string]float64{}}
	if i := strings.LastIndexByte(b.name, '-'); i > 0 {
		if _, err := strconv.Atoi(b.name[i+1:]); err == nil {
			b.name = b.name[:i]
		}
	}
	for i := 2; i < len(f); i += 2 {
		v, err := strconv.ParseFloat(f[i], 64)
		if err != nil {
			return benchmark{}, false
		}
		b.values[f[i+1]] = v
	}
	return b, true
}

// gradientSection compares our gradient with the bare program, and returns the
// milliseconds of LoRA's.
func gradientSection(ctx context.Context, r *report) (lora float64, err error) {
	r.section("The gradient beside a bare GoMLX program")
	lines, skipped, err := goBench(ctx, "./model", "GradientAgainstBare", "1x")
	if err != nil {
		return 0, err
	}
	if skipped != "" {
		r.say("Not measured: %s\n", skipped)
		return 0, nil
	}
	r.say("GPT-2 of 4 layers, d 256, 4 heads, vocabulary 1,000, 8 x 128 tokens, on XLA's CPU plugin: upload the trainables,")
	r.say("run, fetch the gradients. 20 pairs; at most 1.05 is the aim. `go test -run '^$' -bench GradientAgainstBare -benchtime 1x ./model`\n")
	rows := [][]string{{"method", "carillon, ms", "bare, ms", "ratio"}}
	for _, b := range lines {
		_, method, _ := strings.Cut(b.name, "/")
		if method == "lora" {
			lora = b.values["ms/step"]
		}
		rows = append(rows, []string{method, fmt.Sprintf("%.1f", b.values["ms/step"]), fmt.Sprintf("%.1f", b.values["ms/bare"]), fmt.Sprintf("%.2f", b.values["of-bare"])})
	}
	r.table(rows...)
	return lora, nil
}

// adamSection compares the optimizer with a plain loop on one core.
func adamSection(ctx context.Context, r *report, quick bool) error {
	r.section("AdamW beside a plain loop on one core")
	times := "40x"
	if quick {
		times = "3x"
	}
	lines, _, err := goBench(ctx, "./optim", "AdamWAgainstPlain", times)
	if err != nil {
		return err
	}
	r.say("The same bits. At least 1.7 is the aim on two cores. `go test -run '^$' -bench AdamWAgainstPlain -benchtime 40x ./optim`\n")
	rows := [][]string{{"parameters", "times as fast"}}
	for _, b := range lines {
		_, n, _ := strings.Cut(b.name, "/")
		rows = append(rows, []string{n, fmt.Sprintf("%.2f", b.values["x-plain"])})
	}
	r.table(rows...)
	return nil
}
