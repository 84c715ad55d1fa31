package backend

import (
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
)

// A setting is an environment variable that changes the engine's bits, with the
// value that the engine is to see; "" means unset.
type setting struct{ name, value string }

// settings returns all that must hold before an engine is opened. environ is as
// of os.Environ: families of variables are found there.
func settings(threads int, environ []string) []setting {
	pool := strconv.Itoa(threads)
	all := []setting{
		{"NPROC", pool}, // the thread pool; both names are read, else the host's cores count
		{"PJRT_NPROC", pool},
		{"XLA_FLAGS", ""},         // fast-math, optimization levels and unknown words (which abort the process)
		{"XLA_DEBUG_OPTIONS", ""}, // the same by another door
		{"GOMLX_FUSION", ""},      // which operations the graph is made of
		{"GOMLX_DOT_MATMUL", ""},
	}
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		// oneDNN, inside the plugin, reads instruction sets and precisions here.
		if strings.HasPrefix(name, "ONEDNN_") || strings.HasPrefix(name, "DNNL_") {
			all = append(all, setting{name, ""})
		}
	}
	return all
}

// setEnvironment makes the settings hold in this process and logs what the user
// had set otherwise.
func setEnvironment(threads int, log *slog.Logger) error {
	for _, s := range settings(threads, os.Environ()) {
		had := os.Getenv(s.name)
		if had == s.value {
			continue
		}
		if had != "" {
			log.Warn("environment variable overridden: it would change the bits",
				"name", s.name, "was", had, "now", s.value)
		}
		if err := s.apply(); err != nil {
			return fmt.Errorf("set environment variable %s: %w", s.name, err)
		}
	}
	return nil
}

func (s setting) apply() error {
	if s.value == "" {
		return os.Unsetenv(s.name)
	}
	return os.Setenv(s.name, s.value)
}
