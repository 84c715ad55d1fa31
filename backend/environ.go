package backend

import (
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
)

// opening is held while an engine is opened: from the moment the environment is
// set until the engine has read it.
var opening sync.Mutex

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

// applied holds what setEnvironment has set, so that a second backend of the
// process is not told about the first one's settings. Guarded by opening.
var applied = map[string]string{}

// setEnvironment makes the settings hold in this process, and thereby in those
// that it starts, and logs what the user had set otherwise.
func setEnvironment(threads int, log *slog.Logger) error {
	for _, s := range settings(threads, os.Environ()) {
		if had := os.Getenv(s.name); had != "" && had != s.value && had != applied[s.name] {
			log.Warn("environment variable overridden, for it can change the bits",
				"name", s.name, "was", had, "now", s.value)
		}
		if err := s.apply(); err != nil {
			return fmt.Errorf("set environment variable %s: %w", s.name, err)
		}
		applied[s.name] = s.value
	}
	return nil
}

func (s setting) apply() error {
	if s.value == "" {
		return os.Unsetenv(s.name)
	}
	return os.Setenv(s.name, s.value)
}
