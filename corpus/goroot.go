package corpus

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"carillon/job"
)

// readGo reads go:std or go:src from the Go installation at hand.
func readGo(ctx context.Context, d job.Dataset, kind string, progress Progress) ([]Example, Source, error) {
	if d.Type != "" && d.Type != kind {
		return nil, Source{}, fmt.Errorf("type %q, want %s", d.Type, kind)
	}
	root, err := goroot(ctx)
	if err != nil {
		return nil, Source{}, err
	}
	var examples []Example
	var source Source
	if d.Path == GoStd {
		examples, source, err = readDeclarations(ctx, root, d.HeldOut, progress)
	} else {
		examples, source, err = readSource(ctx, root, d.HeldOut, progress)
	}
	for i := range examples {
		examples[i].Kind = kind
	}
	return examples, source, err
}

// goroot asks the go command where its installation is; a binary does not know.
func goroot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("find the Go installation: go env GOROOT: %w (is the go command in PATH?)", err)
	}
	root := strings.TrimSpace(string(out))
	if _, err := os.Stat(filepath.Join(root, "src", "fmt")); err != nil {
		return "", fmt.Errorf("the Go installation at %s has no source: %w", root, err)
	}
	return root, nil
}

// goVersion returns the first line of GOROOT/VERSION, such as go1.26.1.
func goVersion(root string) (string, error) {
	data, err := os.ReadFile(filepath.Join(root, "VERSION"))
	if err != nil {
		return "", fmt.Errorf("version of the Go installation: %w", err)
	}
	line, _, _ := strings.Cut(string(data), "\n")
	return strings.TrimSpace(line), nil
}

// goFiles returns the .go files under root/src, slash paths relative to it,
// sorted bytewise. Folders named in skip are left out wherever they are, and
// cmd at the top.
func goFiles(ctx context.Context, root string, skip ...string) ([]string, error) {
	src := filepath.Join(root, "src")
	var files []string
	err := filepath.WalkDir(src, func(name string, d fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		rel, err := filepath.Rel(src, name)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		switch {
		case d.IsDir() && (rel == "cmd" || slices.Contains(skip, d.Name())):
			return fs.SkipDir
		case d.Type().IsRegular() && strings.HasSuffix(rel, ".go"):
			files = append(files, rel)
		}
		return nil
	})
	slices.Sort(files)
	return files, err
}

// heldOut is the list of packages that are held out, their subfolders included.
type heldOut struct {
	packages []string
	seen     []bool
}

func newHeldOut(packages []string) *heldOut {
	return &heldOut{packages, make([]bool, len(packages))}
}

// has reports whether a package is held out.
func (h *heldOut) has(pkg string) bool {
	found := false
	for i, p := range h.packages {
		if pkg == p || strings.HasPrefix(pkg, p+"/") {
			h.seen[i], found = true, true
		}
	}
	return found
}

// unseen is an error if a listed package has not come up: a misspelt name would
// hold nothing out.
func (h *heldOut) unseen() error {
	for i, p := range h.packages {
		if !h.seen[i] {
			return fmt.Errorf("held_out: package %q has no examples: want the import path of a package that has, such as %q", p, "net/http")
		}
	}
	return nil
}

// readSource is go:src: every file is a text, its package a group.
func readSource(ctx context.Context, root string, packages []string, progress Progress) ([]Example, Source, error) {
	source := Source{Type: TypeText}
	var err error
	if source.Version, err = goVersion(root); err != nil {
		return nil, source, err
	}
	files, err := goFiles(ctx, root, "vendor", "testdata")
	if err != nil {
		return nil, source, err
	}
	held, groups := newHeldOut(packages), map[string]bool{}
	examples := make([]Example, 0, len(files))
	for i, file := range files {
		text, err := os.ReadFile(filepath.Join(root, "src", filepath.FromSlash(file)))
		if err != nil {
			return nil, source, err
		}
		pkg := path.Dir(file)
		groups[pkg] = true
		examples = append(examples, Example{Text: string(text), Group: pkg, From: file, HeldOut: held.has(pkg)})
		if i%256 == 0 {
			progress("reading "+GoSrc, i, len(files))
		}
	}
	source.Groups = len(groups)
	return examples, source, held.unseen()
}
