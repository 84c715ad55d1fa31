package model

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// identityFiles are the files beside the weights that a model's results or its
// exports depend on.
var identityFiles = []string{
	"added_tokens.json", "chat_template.jinja", "config.json", "merges.txt",
	"special_tokens_map.json", "spiece.model", "tokenizer.json", "tokenizer.model",
	"tokenizer_config.json", "vocab.json", "vocab.txt",
}

// Files lists the files of a model directory that a job depends on, sorted by name.
func Files(dir string, opts Options) ([]string, error) {
	names := slices.Clone(identityFiles)
	if !opts.ReinitWeights {
		weights, err := fs.Glob(os.DirFS(dir), "*.safetensors*")
		if err != nil {
			return nil, err
		}
		names = append(names, weights...)
	}
	slices.Sort(names)
	missing := func(name string) bool {
		_, err := os.Stat(filepath.Join(dir, name))
		return errors.Is(err, fs.ErrNotExist)
	}
	return slices.DeleteFunc(names, missing), nil
}

// HashDir returns the base hash of a model directory: SHA-256 over lines
// "name sha256\n" of its configuration, tokenizer files and weights, sorted by name.
// With random weights the last line names their seed instead. What is not there is
// left out.
func HashDir(dir string, opts Options) (sum [sha256.Size]byte, err error) {
	names, err := Files(dir, opts)
	if err != nil {
		return sum, err
	}
	var lines strings.Builder
	for _, name := range names {
		h, err := hashFile(filepath.Join(dir, name))
		if err != nil {
			return sum, err
		}
		fmt.Fprintf(&lines, "%s %x\n", name, h)
	}
	if opts.ReinitWeights {
		fmt.Fprintf(&lines, "random weights, seed %d\n", opts.Seed)
	}
	return sha256.Sum256([]byte(lines.String())), nil
}

func hashFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return h.Sum(nil), nil
}
