package model

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
)

// Dimensions are the sizes that decide how much memory a model takes.
type Dimensions struct{ Width, Depth, Heads int }

// Inspect reads what can be known of a directory without a compute backend: its
// configuration (all but the number of parameters) and its base hash.
func Inspect(dir string, opts Options) (c Config, d Dimensions, hash [sha256.Size]byte, err error) {
	data, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		return c, d, hash, fmt.Errorf("base model %s: %w", dir, err)
	}
	kind, arch, err := parseConfig(data)
	if err != nil {
		return c, d, hash, fmt.Errorf("base model %s: config.json: %w", dir, err)
	}
	c = Config{Type: kind, Vocab: arch.Vocab(), Context: arch.Context()}
	d.Width, d.Depth, d.Heads = arch.Dimensions()
	hash, err = hashDir(dir, opts)
	return c, d, hash, err
}
