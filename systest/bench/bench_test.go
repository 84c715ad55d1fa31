package main

import "testing"

func TestBenchmarkLinesAreRead(t *testing.T) {
	b, ok := parseBenchmark("BenchmarkGradientAgainstBare/lora-2 \t 1\t 900 ns/op\t 41.5 ms/step\t 0.98 of-bare\n")
	if !ok || b.name != "GradientAgainstBare/lora" || b.values["ms/step"] != 41.5 || b.values["of-bare"] != 0.98 {
		t.Errorf("read as %+v, %v", b, ok)
	}
	for _, line := range []string{"", "ok  \tcarillon/model\t1.0s", "BenchmarkX", "BenchmarkX-2 1 two ns/op", "goos: linux"} {
		if b, ok := parseBenchmark(line); ok {
			t.Errorf("%q is read as %+v", line, b)
		}
	}
}
