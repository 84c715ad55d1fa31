package corpus

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"carillon/job"
)

// fakeRoot is a Go installation with one of everything that is chosen or left
// out.
func fakeRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range map[string]string{
		"VERSION": "go1.26.8\ntime 2026-01-01T00:00:00Z\n",
		"src/io/io.go": `// Package io is about input.
package io

// Reader reads, as a [Writer] writes. It has more to say.
type Reader interface {
	// Read reads.
	Read(p []byte) (n int, err error)
}

type (
	// Writer writes.
	Writer struct{ closed bool }
	Silent int
	hidden int
)

// Copy copies from src
// to dst. It stops at the end.
func Copy(
	dst *Writer, // where to
	src Reader,
) (n int64, err error) {
	return 0, nil
}

// Close closes.
func (w *Writer) Close() error { return nil }

// Close is of a hidden type.
func (h hidden) Close() error { return nil }

// Old is old.
//
// Deprecated: use Copy.
func Old() {}

func Undescribed() {}

// unexported is not exported.
func unexported() {}

// Map maps.
func Map[K comparable, V any](m map[K]V) func(K) V { return nil }

// Pair has two.
type Pair[A, B any] struct { a A; b B }

// Swap swaps.
func (p *Pair[A, B]) Swap() {}

// Func is a function.
type Func func(a int) error
`,
		"src/io/io_windows.go":      "package io\n\n// Windows is elsewhere.\nfunc Windows() {}\n",
		"src/io/io_linux.go":        "package io\n\n// Linux is here.\nfunc Linux() {}\n",
		"src/io/new.go":             "//go:build go1.27\n\npackage io\n\n// Later is not there yet.\nfunc Later() {}\n",
		"src/io/now.go":             "//go:build go1.26 && cgo\n\npackage io\n\n// Now is there.\nfunc Now() {}\n",
		"src/io/io_test.go":         "package io\n\n// Test is a test.\nfunc Test() {}\n",
		"src/io/gen.go":             "//go:build ignore\n\npackage main\n\n// Gen is a program.\nfunc Gen() {}\n",
		"src/io/fs/fs.go":           "package fs\n\n// Stat asks.\nfunc Stat(name string) error { return nil }\n\n// Copy copies.\nfunc Copy() {}\n",
		"src/os/os.go":              "package os\n\n// Stat asks.\nfunc Stat(name string) error { return nil }\n",
		"src/io-x/x.go":             "package x\n\n// X stands before io/ by its path.\nfunc X() {}\n",
		"src/internal/a/a.go":       "package a\n\n// A is internal.\nfunc A() {}\n",
		"src/cmd/go/main.go":        "package main\n\n// M is a command.\nfunc M() {}\n",
		"src/vendor/v/v.go":         "package v\n\n// V is another's.\nfunc V() {}\n",
		"src/io/testdata/t/t.go":    "package t\n\n// T is data.\nfunc T() {}\n",
		"src/io/README":             "no source",
		"src/fmt/internal/cmd/c.go": "package cmd\n\n// C is internal.\nfunc C() {}\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func quiet(string, int, int) {}

func TestDeclarationsAndTheirFirstSentences(t *testing.T) {
	got, source, err := readDeclarations(t.Context(), fakeRoot(t), []string{"io/fs"}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	want := []Example{
		{Prompt: "func X()\n//", Completion: " X stands before io/ by its path.", Group: "io-x", From: "io-x/x.go:4"},
		{Prompt: "func Stat(name string) error\n//", Completion: " Stat asks.", Group: "io/fs", From: "io/fs/fs.go:4", HeldOut: true},
		{Prompt: "func Copy()\n//", Completion: " Copy copies.", Group: "io/fs", From: "io/fs/fs.go:7", HeldOut: true},
		{Prompt: "type Reader interface\n//", Completion: " Reader reads, as a Writer writes.", Group: "io", From: "io/io.go:5"},
		{Prompt: "type Writer struct\n//", Completion: " Writer writes.", Group: "io", From: "io/io.go:12"},
		{Prompt: "func Copy(dst *Writer, src Reader) (n int64, err error)\n//", Completion: " Copy copies from src to dst.", Group: "io", From: "io/io.go:19"},
		{Prompt: "func (w *Writer) Close() error\n//", Completion: " Close closes.", Group: "io", From: "io/io.go:27"},
		{Prompt: "func Map[K comparable, V any](m map[K]V) func(K) V\n//", Completion: " Map maps.", Group: "io", From: "io/io.go:43"},
		{Prompt: "type Pair[A, B any] struct\n//", Completion: " Pair has two.", Group: "io", From: "io/io.go:46"},
		{Prompt: "func (p *Pair[A, B]) Swap()\n//", Completion: " Swap swaps.", Group: "io", From: "io/io.go:49"},
		{Prompt: "type Func func(a int) error\n//", Completion: " Func is a function.", Group: "io", From: "io/io.go:52"},
		{Prompt: "func Linux()\n//", Completion: " Linux is here.", Group: "io", From: "io/io_linux.go:4"},
		{Prompt: "func Now()\n//", Completion: " Now is there.", Group: "io", From: "io/now.go:6"},
	}
	if !equal(got, want) {
		for i := range max(len(got), len(want)) {
			var g, w Example
			if i < len(got) {
				g = got[i]
			}
			if i < len(want) {
				w = want[i]
			}
			if !reflect.DeepEqual(g, w) {
				t.Errorf("example %d:\ngot  %+v\nwant %+v", i, g, w)
			}
		}
	}
	if source.Groups != 4 || source.Duplicates != 1 || source.Deprecated != 1 || source.Undescribed != 2 || source.Version != "go1.26.8" {
		t.Errorf("counted %+v; want 4 packages, 1 duplicate, 1 deprecated, 2 without a comment", source)
	}
}

func TestSourceLeavesHeldOutPackagesOut(t *testing.T) {
	got, source, err := readSource(t.Context(), fakeRoot(t), []string{"io"}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	var train, held []string
	for _, x := range got {
		if x.HeldOut {
			held = append(held, x.From)
		} else {
			train = append(train, x.From)
		}
	}
	if want := []string{"internal/a/a.go", "io-x/x.go", "os/os.go"}; !slices.Equal(train, slices.Insert(want, 0, "fmt/internal/cmd/c.go")) {
		t.Errorf("trained on %q", train)
	}
	if want := []string{"io/fs/fs.go", "io/gen.go", "io/io.go", "io/io_linux.go", "io/io_test.go", "io/io_windows.go", "io/new.go", "io/now.go"}; !slices.Equal(held, want) {
		t.Errorf("held out %q, want %q", held, want)
	}
	if source.Groups != 6 {
		t.Errorf("%d packages, want 6", source.Groups)
	}
}

func TestAPackageThatIsNotThereCannotBeHeldOut(t *testing.T) {
	root := fakeRoot(t)
	if _, _, err := readDeclarations(t.Context(), root, []string{"io", "ioo"}, quiet); err == nil || !strings.Contains(err.Error(), `"ioo"`) {
		t.Errorf("go:std: err = %v; want one that names ioo", err)
	}
	if _, _, err := readSource(t.Context(), root, []string{"ioo"}, quiet); err == nil || !strings.Contains(err.Error(), `"ioo"`) {
		t.Errorf("go:src: err = %v; want one that names ioo", err)
	}
}

func TestASyntaxErrorNamesFileAndLine(t *testing.T) {
	root := fakeRoot(t)
	os.WriteFile(filepath.Join(root, "src/os/bad.go"), []byte("package os\n\nfunc ("), 0o644)
	if _, _, err := readDeclarations(t.Context(), root, nil, quiet); err == nil || !strings.Contains(err.Error(), "bad.go:3:") {
		t.Errorf("err = %v; want one that names bad.go:3", err)
	}
}

func TestReleaseTagsAreThoseOfTheInstallation(t *testing.T) {
	for _, tt := range []struct {
		version string
		last    string
	}{{"go1.26.8", "go1.26"}, {"go1.27rc1", "go1.27"}, {"go1.3", "go1.3"}, {"devel go1.30", ""}} {
		tags := buildContext(tt.version).ReleaseTags
		if last := append([]string{""}, tags...)[len(tags)]; last != tt.last {
			t.Errorf("%s: last tag %q, want %q", tt.version, last, tt.last)
		}
	}
}

// raceDetector is set where the tests are built with it.
var raceDetector bool

// The Go installation at hand, whichever it is.
func TestTheStandardLibrary(t *testing.T) {
	if raceDetector {
		t.Skip("one goroutine parses the whole standard library, ten times slower under the race detector")
	}
	held := []string{"bufio", "net/http"}
	got, report, err := Read(t.Context(), []job.Dataset{{Path: GoStd, HeldOut: held}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(got) < 3000 {
		t.Errorf("%d pairs, want thousands", len(got))
	}
	for _, x := range got {
		inside := x.Group == "bufio" || x.Group == "net/http" || strings.HasPrefix(x.Group, "net/http/")
		if x.HeldOut != inside {
			t.Errorf("%s: held out %v", x.From, x.HeldOut)
		}
		if !strings.HasSuffix(x.Prompt, "\n//") || !strings.HasPrefix(x.Completion, " ") {
			t.Errorf("%s: %q, %q", x.From, x.Prompt, x.Completion)
		}
	}
	if s := report.Sources[0]; s.HeldOut == 0 || s.HeldOut != countHeldOut(got) || s.Examples != len(got) {
		t.Errorf("report %+v", s)
	}
}

func TestWithoutGoThereIsNoStandardLibrary(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	_, _, err := Read(t.Context(), []job.Dataset{{Path: GoSrc}}, nil)
	if err == nil || !strings.Contains(err.Error(), "datasets[0] go:src") || !strings.Contains(err.Error(), "go command") {
		t.Errorf("err = %v; want one that asks for the go command", err)
	}
}
