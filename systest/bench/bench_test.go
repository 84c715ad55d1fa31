package main

import (
	"slices"
	"testing"
)

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

func TestASectionIsReplacedWhereItStands(t *testing.T) {
	const fresh = "## Mine\n\nnew\n\n"
	for _, tt := range []struct{ text, want string }{
		{"# All\n\n## A\n\na\n", "# All\n\n## A\n\na\n\n" + fresh},
		{"## A\n\na\n\n## Mine\n\nold\n\n## B\n\nb\n", "## A\n\na\n\n" + fresh + "## B\n\nb\n"},
		{"## A\n\na\n\n## Mine\n\nold\n", "## A\n\na\n\n" + fresh},
		{"## A\n\na\n\n## Encoding text beside\n\ne\n", "## A\n\na\n\n## Mine\n\nnew\n\n## Encoding text beside\n\ne\n"},
	} {
		if got := replaceSection(tt.text, "Mine", fresh); got != tt.want {
			t.Errorf("%q becomes %q, want %q", tt.text, got, tt.want)
		}
	}
}

// bench/methods.py makes the same batch.
func TestBatchesOfTheMethods(t *testing.T) {
	for _, s := range shapes {
		in := s.input()
		if len(in.Tokens) != s.rows*s.length || in.Tokens[0] != 14 || in.Tokens[4] != 1+(13+4*7919)%30000 {
			t.Errorf("%s: tokens %v", s.name, in.Tokens[:5])
		}
		switch {
		case s.name == "bert":
			if !slices.Equal(in.Targets[:3], []int32{0, 1, 0}) {
				t.Errorf("classes %v", in.Targets)
			}
		case s.target > 0:
			if in.DecoderTokens[0] != 0 || in.DecoderTokens[1] != in.Targets[0] || in.DecoderTokens[s.target] != 0 {
				t.Errorf("a decoder reads %v", in.DecoderTokens)
			}
		}
	}
}

func TestOnlyTheSameLossIsCompared(t *testing.T) {
	if err := sameLoss("lora", said{Loss: 2.00001}, said{Loss: 2}); err != nil {
		t.Error(err)
	}
	if err := sameLoss("full", said{Loss: 2.1}, said{Loss: 2}); err == nil {
		t.Error("2.1 and 2 are taken for the same")
	}
	if err := sameLoss("prompt", said{Trained: 3}, said{Trained: 4}); err == nil {
		t.Error("3 trained numbers and 4 are taken for the same")
	}
	if err := sameLoss("prompt", said{Loss: 2.1}, said{Loss: 2}); err != nil {
		t.Errorf("prompts begin elsewhere: %v", err)
	}
}
