package model

import (
	"fmt"
	"os"
	"path/filepath"
)

// Names returns the parameter that each of the tensors of a base model's files
// holds; it leaves out those that repeat another or are no parameter.
func Names(dir string, tensors []string) (map[string]string, error) {
	data, err := os.ReadFile(filepath.Join(dir, "config.json"))
	if err != nil {
		return nil, err
	}
	_, arch, err := parseConfig(data)
	if err != nil {
		return nil, fmt.Errorf("%s: config.json: %w", dir, err)
	}
	names := map[string]string{}
	for _, t := range tensors {
		if arch.Tied(t) == "" && arch.Unused(t) == "" && arch.Name(t) != "" {
			names[t] = arch.Name(t)
		}
	}
	return names, nil
}
