package backend

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
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

// settings returns what must hold before the device's plugin is opened.
func (d device) settings(threads int, plugin string, environ []string) []setting {
	flags := d.flags
	if dir := toolkit(plugin); d.kind == CUDA && dir != "" {
		flags = append(slices.Clone(flags), xlaFlag{name: "xla_gpu_cuda_data_dir", value: dir})
	}
	return append(withFlags(settings(threads, environ), flags), d.env...)
}

// withFlags returns settings with the flags that XLA is to see.
func withFlags(all []setting, flags []xlaFlag) []setting {
	for i, s := range all {
		if s.name == "XLA_FLAGS" {
			all[i].value = text(flags)
		}
	}
	return all
}

// nvidiaDir returns the folder of NVIDIA's wheels that belongs to a plugin: beside
// the folder of a Python package, as pip and InstallDevice lay it, or around the
// plugin, as go-xla does. "" if there is none.
func nvidiaDir(plugin string) string {
	for _, up := range []string{"../../nvidia", "../nvidia"} {
		if dir := filepath.Join(filepath.Dir(plugin), up); anyFile(dir, "cu*/lib") {
			return dir
		}
	}
	return ""
}

// toolkit returns the folder with the compiler's parts among NVIDIA's wheels, or ""
// if they are to be found where the system has them.
func toolkit(plugin string) string {
	dir := nvidiaDir(plugin)
	if dir == "" || !anyFile(dir, "cu13/nvvm/libdevice/*") {
		return ""
	}
	return filepath.Join(dir, "cu13")
}

// applied holds what setEnvironment has set, so that a second backend of the
// process is not told about the first one's settings. Guarded by opening.
var applied = map[string]string{}

// setEnvironment makes the settings hold in this process, and thereby in those
// that it starts, and logs what the user had set otherwise.
func setEnvironment(all []setting, log *slog.Logger) error {
	for _, s := range all {
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
